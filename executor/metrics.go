package executor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/badrows"
)

// metrics are the executor's, labelled with closed sets only.
type metrics struct {
	jobs    *prometheus.CounterVec
	running prometheus.Gauge
	rows    prometheus.Counter
	badRows *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "import", Name: "jobs_total", Help: "Ended import jobs by last state.",
		}, []string{"state"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "sluice", Subsystem: "import", Name: "jobs_active", Help: "Import jobs that this process owns and that have not ended.",
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "import", Name: "rows_total", Help: "Rows of finished import jobs.",
		}),
		badRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "import", Name: "bad_rows_total", Help: "Rows that jobs have left out and recorded, by class.",
		}, []string{"class"}),
	}
	for _, c := range badrows.Classes() {
		m.badRows.WithLabelValues(c.String())
	}
	for _, s := range []job.Status{job.Finished, job.Failed, job.Cancelled} {
		m.jobs.WithLabelValues(string(s))
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.jobs, m.running, m.rows, m.badRows} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
