package importcore

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
)

// Default sizes of Config, in bytes. The least budget is what one worker, the
// splitter and a merge need to make progress.
const (
	DefaultMemoryBudget = 128 << 20
	MinMemoryBudget     = 32 << 20
)

// Config says which cluster the core works for and what it may use.
type Config struct {
	// Cluster is how the cluster is reached.
	Cluster cluster.Config
	// SortDir is the directory in which jobs sort, each in a directory of its own
	// that it removes. It is made when missing.
	SortDir string
	// SortCompression of what is spilled to SortDir: none (or empty), snappy or zstd.
	SortCompression string
	// CheckpointBytes of source, or what takes CheckpointInterval, is encoded again at
	// most when a job is interrupted; 0 means DefaultCheckpointBytes and DefaultCheckpointInterval.
	CheckpointBytes    int64
	CheckpointInterval time.Duration
	// Source is how files are reached that are not on this machine. Its Patience is that of jobs
	// that run; Trouble is the core's.
	Source source.Config
	// MemoryBudget is in bytes, for one job that names none; 0 means DefaultMemoryBudget.
	MemoryBudget int64
	// MemoryAdvice tells users how to give each job so many bytes; nil only tells their number.
	MemoryAdvice func(bytes int64) string
	// Logger is required.
	Logger *zap.Logger
}

// Core runs tasks for one cluster. It is safe for concurrent use.
type Core struct {
	cfg         Config
	compression sortkv.Compression
	cluster     *cluster.Cluster
	load        load
	sampling    chan struct{} // holds a place for each sample that is being taken
}

// New connects to the cluster. The caller closes the Core.
func New(ctx context.Context, cfg Config) (*Core, error) {
	if cfg.MemoryBudget == 0 {
		cfg.MemoryBudget = DefaultMemoryBudget
	}
	if cfg.CheckpointBytes == 0 {
		cfg.CheckpointBytes = DefaultCheckpointBytes
	}
	if cfg.CheckpointInterval == 0 {
		cfg.CheckpointInterval = DefaultCheckpointInterval
	}
	compression, err := sortkv.ParseCompression(cfg.SortCompression)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Open(ctx, cfg.Cluster)
	if err != nil {
		return nil, err
	}
	return &Core{cfg: cfg, compression: compression, cluster: c, sampling: make(chan struct{}, samplesAtATime)}, nil
}

// Close gives back what is still held in the cluster and disconnects. No
// Import may be running.
func (c *Core) Close() error { return c.cluster.Close() }

// Cluster is the cluster that the core works for. It is the core's to close.
func (c *Core) Cluster() *cluster.Cluster { return c.cluster }

// Account is how the cluster is reached by SQL.
func (c *Core) Account() (addrs []string, user, password string) {
	return c.cfg.Cluster.TiDB, c.cfg.Cluster.User, c.cfg.Cluster.Password
}

// Logger is the core's.
func (c *Core) Logger() *zap.Logger { return c.cfg.Logger }

// Named returns the changes to the cluster that it knows of itself, and Undo undoes
// one that its owner has left behind: see cluster.Named and cluster.Undo.
func (c *Core) Named(ctx context.Context) ([]cluster.Change, error) { return c.cluster.Named(ctx) }

// Undo undoes a change to the cluster; see Named.
func (c *Core) Undo(ctx context.Context, ch cluster.Change) error { return c.cluster.Undo(ctx, ch) }

// physicalShift is the number of logical bits of a PD timestamp.
const physicalShift = 18

// codePrecheckFailed is TiDB's ErrLoadDataPreCheckFailed.
const codePrecheckFailed = 8173

// Plan looks at the source and the target without changing either and returns
// what Import needs, to begin the job or to go on from its checkpoint. Errors are *fault.Error with TiDB's codes: 8156 to 8160
// for the location, 1146 for an unknown table, 1054 and 1110 for the mapping,
// 8173 for a table that is not empty, and those of table.Target.CheckEncodable;
// ErrCantGoOn for a checkpoint that doesn't fit any more.
func (c *Core) Plan(ctx context.Context, task ImportTask) (_ *Plan, err error) {
	if err := c.completeTask(&task); err != nil {
		return nil, err
	}
	p := &Plan{Task: task}
	defer func() {
		if err != nil && p.store != nil {
			err = errors.Join(err, p.store.Close())
		}
	}()
	if err := p.openSource(ctx, c.sourceConfig(p)); err != nil {
		return nil, p.orLater(err)
	}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	if err := c.planTable(ctx, p); err != nil {
		return nil, err
	}
	return p, p.checkBasis()
}

func (c *Core) completeTask(task *ImportTask) error {
	if task.MemoryBudget == 0 {
		task.MemoryBudget = c.cfg.MemoryBudget
	}
	if task.MemoryBudget < MinMemoryBudget {
		return fault.New(fault.User, 0, "a memory budget of %d bytes is too small for an import: at least %d are needed",
			task.MemoryBudget, MinMemoryBudget)
	}
	task.Threads = max(task.Threads, 1)
	if err := task.checkFiles(); err != nil || !task.has(FormatCSV) {
		return err
	}
	task.CSV.Recover = task.MaxErrors > 0
	return task.CSV.Validate()
}

func (c *Core) planTable(ctx context.Context, p *Plan) error {
	if err := c.loadTarget(ctx, p); err != nil {
		return err
	}
	if err := c.layOut(ctx, p); err != nil {
		return err
	}
	if p.filled = p.saved.Filled; !p.saved.Sent() && !p.filled {
		if err := c.checkEmpty(ctx, p); err != nil {
			return err
		}
		p.saved.Filled = p.filled
	}
	return nil
}

// loadTarget reads the table's schema.
func (c *Core) loadTarget(ctx context.Context, p *Plan) error {
	info, newCollation, err := c.cluster.LoadTable(ctx, p.Task.DB, p.Task.Table)
	if err != nil {
		return err
	}
	p.TableID = info.ID
	p.target, err = table.NewTarget(p.Task.DB, info, newCollation)
	return err
}

// layOut finds where fields go, and compiles that.
func (c *Core) layOut(ctx context.Context, p *Plan) error {
	switch {
	case p.begun():
	case !p.Task.Now.IsZero():
		p.saved.Now = p.Task.Now.UnixMilli()
	default:
		// The cluster's clock, not this machine's, is what CURRENT_TIMESTAMP means.
		ts, err := c.cluster.TSO(ctx)
		if err != nil {
			return err
		}
		p.saved.Now = int64(ts >> physicalShift)
	}
	return p.lay(ctx, time.UnixMilli(p.saved.Now))
}

func (c *Core) checkEmpty(ctx context.Context, p *Plan) error {
	var indexes []string
	for _, idx := range p.target.Indexes() {
		indexes = append(indexes, idx.Name.O)
	}
	empty, err := c.cluster.TableIsEmpty(ctx, p.Task.DB, p.Task.Table, p.Task.Partitions, indexes)
	if err != nil {
		return err
	}
	if !empty && p.Task.AllowNonEmpty {
		p.filled = true
		return nil
	}
	if !empty && len(p.Task.Partitions) > 0 {
		return fault.New(fault.User, codePrecheckFailed, "PreCheck failed: target partition is not empty")
	}
	if !empty {
		return fault.New(fault.User, codePrecheckFailed, "PreCheck failed: target table is not empty")
	}
	return nil
}

// Close ends the use of a plan; Import does it itself.
func (p *Plan) Close() error { return p.store.Close() }
