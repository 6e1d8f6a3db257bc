package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/server/backend"
	"github.com/sluicedb/sluice/server/config"
	"github.com/sluicedb/sluice/server/proxy"
	"github.com/sluicedb/sluice/server/status"
)

// Ready is the JSON line of --print-ready. Addresses are host:port, as bound.
type Ready struct {
	Addr   string `json:"addr"`
	Status string `json:"status,omitempty"`
}

// process is the running parts, in the order in which they start. Those that are
// nil have not been started.
type process struct {
	config   config.Config
	logger   *zap.Logger
	registry *prometheus.Registry

	pool     *backend.Pool
	executor *executor.Executor
	proxy    *proxy.Server
	status   *status.Server
	// listeners are closed by the servers that took them over.
	sqlListener, statusListener net.Listener
	// failures gets what ends a server before its time, or nil at its end.
	failures chan error
	serving  int
}

// serve starts everything, reports on ready, and runs until ctx ends or a part
// fails; then it stops everything.
func serve(ctx context.Context, cfg config.Config, logger *zap.Logger, ready io.Writer) (err error) {
	p := &process{config: cfg, logger: logger, registry: prometheus.NewRegistry(), failures: make(chan error, 2)}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.start(ctx); err != nil {
		return err
	}
	line := Ready{Addr: p.sqlListener.Addr().String()}
	if p.statusListener != nil {
		line.Status = p.statusListener.Addr().String()
	}
	logger.Info("sluice is ready", zap.String("version", version()), zap.String("addr", line.Addr),
		zap.String("status-addr", line.Status), zap.Strings("backends", cfg.Backend.Addresses))
	if err := json.NewEncoder(ready).Encode(line); err != nil {
		return fmt.Errorf("print-ready: %w", err)
	}
	select {
	case <-ctx.Done():
		logger.Info("shutting down", zap.Stringer("graceful-wait", cfg.GracefulWait))
		return nil
	case err := <-p.failures:
		p.serving--
		return err
	}
}

// start brings the parts up. On an error the caller stops what is up.
func (p *process) start(ctx context.Context) (err error) {
	cfg := p.config
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if p.sqlListener, err = net.Listen("tcp", cfg.Addr); err != nil {
		return err
	}
	if cfg.StatusAddr != "" {
		if p.statusListener, err = net.Listen("tcp", cfg.StatusAddr); err != nil {
			return errors.Join(err, p.sqlListener.Close())
		}
	}
	if err := p.build(); err != nil {
		err = errors.Join(err, p.sqlListener.Close())
		if p.statusListener != nil {
			err = errors.Join(err, p.statusListener.Close())
		}
		return err
	}
	p.pool.Start(context.WithoutCancel(ctx)) // until stop, which comes in its order
	if p.statusListener != nil {
		p.status = status.New(status.Options{Gatherer: p.registry, Healthy: p.healthy, Logger: p.logger})
		p.serving++
		go func() { p.failures <- p.status.Serve(p.statusListener) }()
	}
	p.serving++
	go func() { p.failures <- p.proxy.Serve(p.sqlListener) }()
	return nil
}

// build creates the parts that start has to run.
func (p *process) build() (err error) {
	cfg := p.config
	instance := cfg.Instance
	if instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("no host name for the instance: %w", err)
		}
		_, port, err := net.SplitHostPort(p.sqlListener.Addr().String())
		if err != nil {
			return err
		}
		instance = net.JoinHostPort(host, port)
	}
	p.pool, err = backend.NewPool(backend.Options{
		Addresses:     cfg.Backend.Addresses,
		DialTimeout:   time.Duration(cfg.Backend.DialTimeout),
		ProbeInterval: time.Duration(cfg.Backend.HealthInterval),
		Logger:        p.logger,
	})
	if err != nil {
		return err
	}
	metrics, err := proxy.NewMetrics(p.registry)
	if err != nil {
		return err
	}
	p.executor, err = executor.New(executor.Config{
		Instance: instance,
		Schema:   cfg.Schema,
		ServiceAccount: executor.ServiceAccount{
			User: cfg.ServiceAccount.User, Password: cfg.ServiceAccount.Password.Reveal(),
		},
		Backends:           cfg.Backend.Addresses,
		S3:                 cfg.Storage.S3.Source(),
		SourcePatience:     time.Duration(cfg.Storage.Patience),
		SortDir:            cfg.Import.SortDir,
		SortCompression:    cfg.Import.SortCompression,
		DiskQuota:          int64(cfg.Import.DiskQuota),
		CheckpointBytes:    int64(cfg.Import.CheckpointBytes),
		CheckpointInterval: time.Duration(cfg.Import.CheckpointInterval),
		MaxLatency:         time.Duration(cfg.Import.MaxLatency),
		JobMemory:          int64(cfg.JobMemory()),
		MemoryAdvice: func(job int64) string {
			return fmt.Sprintf("import.memory-budget = %q", cfg.BudgetFor(job))
		},
		Threads:         cfg.Import.Threads,
		Concurrency:     cfg.Jobs.Concurrency,
		Retention:       time.Duration(cfg.Jobs.Retention),
		TakeoverTimeout: time.Duration(cfg.Jobs.TakeoverTimeout),
		Logger:          p.logger,
		Registerer:      p.registry,
	})
	if err != nil {
		return err
	}
	p.proxy, err = proxy.New(proxy.Options{
		Dialer:      p.pool,
		Interceptor: statements{executor: p.executor},
		Metrics:     metrics,
		Logger:      p.logger,
	})
	return err
}

// healthy is the answer of /healthz.
func (p *process) healthy() error {
	if p.proxy.Draining() {
		return errors.New("shutting down")
	}
	return p.pool.Check()
}

// statusGrace bounds the wait for HTTP requests under way at the end.
const statusGrace = time.Second

// stop takes the parts down: first the proxy, which reports unhealthy, stops
// accepting and drains; then the executor, whose statements have returned and
// whose detached jobs have had the same time to finish, and are given back
// otherwise; then what only observes.
func (p *process) stop() error {
	var failures []error
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(p.config.GracefulWait))
	defer cancel()
	if p.proxy != nil {
		if err := p.proxy.Shutdown(ctx); err != nil {
			p.logger.Warn("not everything finished in time", zap.Error(err))
		}
	}
	if p.executor != nil {
		failures = append(failures, p.executor.Close(ctx))
	}
	if p.pool != nil {
		p.pool.Stop()
	}
	if p.status != nil {
		ctx, cancel := context.WithTimeout(context.Background(), statusGrace)
		defer cancel()
		failures = append(failures, p.status.Shutdown(ctx))
	}
	for ; p.serving > 0; p.serving-- {
		failures = append(failures, <-p.failures)
	}
	p.logger.Info("sluice is down")
	return errors.Join(failures...)
}
