package executor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
)

// lightningMetrics have the names, labels and units under which dashboards made for
// tidb-lightning look for the same things. Only what Sluice can tell truthfully is there; docs/metrics.md says
// where the meaning differs: a file is a chunk, a job a table with one engine.
type lightningMetrics struct {
	bytes, rows, chunks, importerEngine *prometheus.CounterVec
	tables, engines                     *prometheus.CounterVec
	readBytes                           prometheus.Histogram
	importSeconds, checksumSeconds      prometheus.Histogram
	sstSeconds                          *prometheus.HistogramVec
}

// Values of the labels state, result and type.
const (
	resultSuccess = "success"
	resultFailure = "failure"
	stateRestored = "restored"
)

// tableStates are the states that a table comes to, with the step at whose end it does.
var tableStates = []struct {
	state string
	step  importcore.Step
}{
	{"written", importcore.StepConflicts}, {"imported", importcore.StepIngest}, {"checksum", importcore.StepChecksum},
	{"analyzed", importcore.StepAnalyze},
}

func newLightningMetrics() (*lightningMetrics, []prometheus.Collector) {
	var all []prometheus.Collector
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lightning", Name: name, Help: help}, labels)
		all = append(all, c)
		return c
	}
	histogram := func(name, help string, first, factor float64, count int) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "lightning", Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, factor, count),
		})
		all = append(all, h)
		return h
	}
	m := &lightningMetrics{
		bytes:           vector("bytes", "Bytes by state: total_restore and restored of the source, written and imported of keys and values.", "state"),
		rows:            vector("rows", "Rows by state.", "state"),
		chunks:          vector("chunks", "Source files by state.", "state"),
		importerEngine:  vector("importer_engine", "Sorted sets of pairs, one for each job, that were opened and closed.", "type"),
		tables:          vector("tables", "Jobs that came to a state.", "state", "result"),
		engines:         vector("engines", "Sorted sets of pairs, one for each job, that came to a state.", "state", "result"),
		readBytes:       histogram("row_read_bytes", "Bytes of the source's blocks.", 1024, 2, 12),
		importSeconds:   histogram("import_seconds", "Time that the pairs of a job took into the cluster.", 0.125, 2, 16),
		checksumSeconds: histogram("checksum_seconds", "Time that the checksum of a job took.", 0.125, 2, 16),
		sstSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "lightning", Name: "sst_seconds", Help: "Time to write, and to ingest, an SST.", Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 10),
		}, []string{"kind"}),
	}
	all = append(all, m.sstSeconds)
	m.begin()
	return m, all
}

// begin makes all series.
func (m *lightningMetrics) begin() {
	for _, s := range []string{"total_restore", stateRestored, "written", "imported"} {
		m.bytes.WithLabelValues(s)
	}
	m.rows.WithLabelValues(stateRestored)
	for _, s := range []string{"estimated", "pending", "running", "finished", "failed"} {
		m.chunks.WithLabelValues(s)
	}
	for _, t := range []string{"open", "closed"} {
		m.importerEngine.WithLabelValues(t)
	}
	for _, s := range []string{"pending", "completed"} {
		m.tables.WithLabelValues(s, resultSuccess)
	}
	m.tables.WithLabelValues("completed", resultFailure)
	for _, s := range tableStates {
		m.tables.WithLabelValues(s.state, resultSuccess)
	}
	for _, s := range []string{"written", "closed", "imported"} {
		m.engines.WithLabelValues(s, resultSuccess)
	}
	for _, k := range []string{"write", "ingest"} {
		m.sstSeconds.WithLabelValues(k)
	}
}

// taken counts a job that this process begins or goes on with.
func (m *lightningMetrics) taken(p *importcore.Progress) {
	m.bytes.WithLabelValues("total_restore").Add(float64(p.SourceTotal))
	m.chunks.WithLabelValues("estimated").Add(float64(p.Files))
	m.chunks.WithLabelValues("pending").Add(float64(p.Files))
	m.tables.WithLabelValues("pending", resultSuccess).Inc()
	m.importerEngine.WithLabelValues("open").Inc()
}

// came counts a job that has come to the end of a step.
func (m *lightningMetrics) came(step importcore.Step, seconds float64) {
	for _, s := range tableStates {
		if s.step == step {
			m.tables.WithLabelValues(s.state, resultSuccess).Inc()
		}
	}
	switch step {
	case importcore.StepConflicts:
		m.engines.WithLabelValues("written", resultSuccess).Inc()
		m.engines.WithLabelValues("closed", resultSuccess).Inc()
	case importcore.StepIngest:
		m.engines.WithLabelValues("imported", resultSuccess).Inc()
		m.importSeconds.Observe(seconds)
	case importcore.StepChecksum:
		m.checksumSeconds.Observe(seconds)
	}
}

// ended counts a job that this process has ended.
func (m *lightningMetrics) ended(status job.Status, p *importcore.Progress) {
	m.importerEngine.WithLabelValues("closed").Inc()
	result := resultSuccess
	if status != job.Finished {
		result = resultFailure
		if p.Step == importcore.StepEncode {
			m.chunks.WithLabelValues("failed").Inc()
		}
	}
	m.tables.WithLabelValues("completed", result).Inc()
}
