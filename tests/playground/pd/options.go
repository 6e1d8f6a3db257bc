package pd

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// DefaultVersion is the release that the server claims to be when
// Options.Version is empty.
const DefaultVersion = "v8.5.4"

// Options says how to start a Server. DataDir is required, everything else has
// a default.
type Options struct {
	// DataDir is where etcd keeps its data; created when missing. A directory
	// of an earlier Server continues it: cluster id, timestamps, ids, rules.
	DataDir string
	// Version is the release reported to clients, with the leading "v".
	// Default DefaultVersion.
	Version string
	// ClusterID is used for a new DataDir; 0 draws one at random. A kept
	// DataDir has an id already and must not be given a different one.
	ClusterID uint64
	// MaxReplicas is replication.max-replicas of a new DataDir. Default 0
	// follows the number of stores of the View, at most 3.
	MaxReplicas int
	// Now is the clock of timestamps and expiries. Default time.Now.
	Now func() time.Time
	// Logger gets the server's own messages and etcd's warnings. Default none.
	Logger *zap.Logger
}

func (o *Options) fillDefaults() error {
	if o.DataDir == "" {
		return errors.New("pd: Options.DataDir is empty")
	}
	if o.MaxReplicas < 0 {
		return errors.New("pd: Options.MaxReplicas is negative")
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return nil
}
