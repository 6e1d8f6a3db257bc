package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicedb/sluice/server/wire"
)

// Metrics are the collectors of the data path. One set serves all sessions of a
// process.
type Metrics struct {
	connections *prometheus.CounterVec // by result of the handshake
	open        prometheus.Gauge
	ends        *prometheus.CounterVec // sessions ended, by reason
	errors      prometheus.Counter     // ERR packets from TiDB that ended a command
	statements  *prometheus.HistogramVec
	toBackend   prometheus.Counter
	toClient    prometheus.Counter

	// commands has the counter for every command byte, looked up once so that
	// counting costs one atomic addition.
	commands [256]prometheus.Counter

	accepted, refused prometheus.Counter
}

// NewMetrics creates the collectors and registers them with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "sluice", Subsystem: "proxy", Name: name, Help: help}
	}
	m := &Metrics{
		connections: prometheus.NewCounterVec(opts("connections_total", "Client connections by result of the handshake."), []string{"result"}),
		open:        prometheus.NewGauge(prometheus.GaugeOpts(opts("connections_open", "Client connections now open."))),
		ends:        prometheus.NewCounterVec(opts("connections_ended_total", "Client connections ended, by reason."), []string{"reason"}),
		errors:      prometheus.NewCounter(opts("backend_errors_total", "Forwarded commands that TiDB answered with an error.")),
		statements: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "sluice", Subsystem: "proxy", Name: "statement_seconds",
			Help:    "Duration of statements that Sluice ran itself, by kind and result.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 14), // 1 ms to 18 h
		}, []string{"kind", "result"}),
		toBackend: prometheus.NewCounter(opts("to_backend_bytes_total", "Bytes forwarded from clients to TiDB.")),
		toClient:  prometheus.NewCounter(opts("to_client_bytes_total", "Bytes forwarded from TiDB to clients.")),
	}
	commands := prometheus.NewCounterVec(opts("commands_total", "Client commands by type."), []string{"command"})
	for i := range m.commands {
		label := "unknown"
		if c := wire.Command(i); c.Known() {
			label = c.String()
		}
		m.commands[i] = commands.WithLabelValues(label)
	}
	m.accepted = m.connections.WithLabelValues("ok")
	m.refused = m.connections.WithLabelValues("failed")
	for _, c := range []prometheus.Collector{m.connections, m.open, m.ends, m.errors, m.statements, m.toBackend, m.toClient, commands} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
