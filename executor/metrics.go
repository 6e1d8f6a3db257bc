package executor

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/ingest"
)

// metrics are the executor's, labelled with closed sets only. docs/metrics.md says what they mean.
type metrics struct {
	jobs    *prometheus.CounterVec
	running prometheus.Gauge
	rows    prometheus.Counter
	badRows *prometheus.CounterVec
	// Work of this process, by step, and for what it waited.
	stepSeconds, stepCPU, stepBytes, stepRows *prometheus.CounterVec
	waits                                     *prometheus.CounterVec
	spilled                                   prometheus.Counter
	checkpoints                               prometheus.Counter
	slowdowns                                 prometheus.Counter
	readLatency                               prometheus.Histogram
	heldBack                                  heldBack
	lightning                                 *lightningMetrics
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sluice", Subsystem: "import", Name: name, Help: help})
		all = append(all, c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Subsystem: "import", Name: name, Help: help}, []string{label})
		all = append(all, c)
		return c
	}
	m := &metrics{
		jobs: vector("jobs_total", "Ended import jobs by last state.", "state"),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "sluice", Subsystem: "import", Name: "jobs_active", Help: "Import jobs that this process owns and that have not ended.",
		}),
		rows:        counter("rows_total", "Rows of finished import jobs."),
		badRows:     vector("bad_rows_total", "Rows that jobs have left out and recorded, by class.", "class"),
		stepSeconds: vector("step_seconds_total", "Time that jobs were at a step.", "step"),
		stepCPU:     vector("step_cpu_seconds_total", "CPU time of the process while one job alone was at a step.", "step"),
		stepBytes:   vector("step_bytes_total", "Bytes that a step has done: of the source for encode, of keys and values for the others.", "step"),
		stepRows:    vector("step_rows_total", "Rows that were encoded; for the other steps rows of jobs that came to the step's end.", "step"),
		waits:       vector("wait_seconds_total", "Time that goroutines of jobs waited, by what for.", "for"),
		spilled:     counter("spilled_bytes_total", "Bytes of sorted runs written to the sort directory."),
		checkpoints: counter("checkpoints_total", "Checkpoints saved."),
		slowdowns:   counter("slowdowns_total", "Times that a store was slow and was written to more slowly, because of max_latency."),
		readLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sluice", Subsystem: "import", Name: "read_latency_seconds", Help: "Time that stores took to answer the small reads that are made for max_latency.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	m.heldBack.gauge = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "sluice", Subsystem: "import", Name: "held_back_bytes_per_second",
		Help: "What the store that is held back most because of max_latency may get; 0 if none is held back.",
	})
	all = append(all, m.running, m.readLatency, m.heldBack.gauge)
	var lightning []prometheus.Collector
	m.lightning, lightning = newLightningMetrics()
	all = append(all, lightning...)
	m.begin()
	if r == nil {
		return m, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// waitsFor are the values of the label for, in the order of waitsOf.
var waitsFor = []string{"source", "memory", "disk", "store", "limit", "backoff"}

func waitsOf(w *importcore.Waits) []time.Duration {
	return []time.Duration{w.Source, w.Memory, w.Disk, w.Store, w.Limit, w.Backoff}
}

// waitLease is the wait for a job's row that can't be renewed.
const waitLease = "lease"

// begin makes all series, so that each is there with 0 from the start.
func (m *metrics) begin() {
	for _, c := range badrows.Classes() {
		m.badRows.WithLabelValues(c.String())
	}
	for _, s := range []job.Status{job.Finished, job.Failed, job.Cancelled} {
		m.jobs.WithLabelValues(string(s))
	}
	for s := importcore.StepEncode; s < importcore.StepDone; s++ {
		for _, v := range []*prometheus.CounterVec{m.stepSeconds, m.stepCPU, m.stepBytes, m.stepRows} {
			v.WithLabelValues(s.String())
		}
	}
	for _, f := range append([]string{waitLease}, waitsFor...) {
		m.waits.WithLabelValues(f)
	}
}

// Encoded implements importcore.Observer.
func (m *metrics) Encoded(bytes int64) { m.lightning.readBytes.Observe(float64(bytes)) }

// Stored implements importcore.Observer.
func (m *metrics) Stored(stage ingest.Stage, took time.Duration) {
	m.lightning.sstSeconds.WithLabelValues(stage.String()).Observe(took.Seconds())
}

// Answered implements importcore.Observer.
func (m *metrics) Answered(took time.Duration) { m.readLatency.Observe(took.Seconds()) }

// heldBack is the lowest speed at which jobs of this process hold a store back.
type heldBack struct {
	gauge prometheus.Gauge
	mu    struct {
		sync.Mutex
		jobs map[*counted]int64 // bytes per second
	}
}

// set notes a job's; 0 is none.
func (h *heldBack) set(job *counted, speed int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if speed == 0 {
		delete(h.mu.jobs, job)
	} else {
		if h.mu.jobs == nil {
			h.mu.jobs = map[*counted]int64{}
		}
		h.mu.jobs[job] = speed
	}
	lowest := int64(0)
	for _, s := range h.mu.jobs {
		if lowest == 0 || s < lowest {
			lowest = s
		}
	}
	h.gauge.Set(float64(lowest))
}
