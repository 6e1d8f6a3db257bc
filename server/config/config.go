// Package config turns a TOML file and command line flags into the process's
// configuration: defaults, then the file, then flags; then everything is
// validated and all findings are reported at once. What Load returns does not
// change any more.
//
// Names follow TiDB's style (lower case, hyphens). An unknown key is a finding,
// because a misspelt one would silently mean the default. The sample with every
// key is configs/sluice.toml; a test keeps it complete.
package config

import (
	"os"
	"path/filepath"
	"time"
)

// Config is the configuration of a Sluice process. Treat it as read-only.
type Config struct {
	// Instance names this process among all Sluices of the cluster; it is the
	// owner in job rows. "" means host name and port. It should survive a
	// restart and must be unique.
	Instance string `toml:"instance"`
	// Addr is where MySQL clients connect, host:port; port 0 picks a free one.
	Addr string `toml:"addr"`
	// StatusAddr is where HTTP is served, host:port; "" means nowhere.
	StatusAddr string `toml:"status-addr"`
	// Schema is the database in the cluster that holds the job tables.
	Schema string `toml:"schema"`
	// GracefulWait is how long commands and transactions under way may take to
	// finish at shutdown before they are cancelled.
	GracefulWait Duration `toml:"graceful-wait"`

	Log            Log            `toml:"log"`
	Backend        Backend        `toml:"backend"`
	ServiceAccount ServiceAccount `toml:"service-account"`
	Import         Import         `toml:"import"`
	Storage        Storage        `toml:"storage"`
	Jobs           Jobs           `toml:"jobs"`
}

// Log says what is logged where.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `toml:"level"`
	// File is appended to; "" means standard error.
	File string `toml:"file"`
	// Format is text or json.
	Format string `toml:"format"`
}

// Backend is the cluster as its SQL clients see it.
type Backend struct {
	// Addresses are the TiDB servers' SQL ports, host:port.
	Addresses []string `toml:"addresses"`
	// DialTimeout bounds one attempt to connect to a server.
	DialTimeout Duration `toml:"dial-timeout"`
	// HealthInterval is the pause between health probes of each server.
	HealthInterval Duration `toml:"health-interval"`
}

// ServiceAccount is the cluster user for Sluice's own work. User passwords are
// never known to Sluice.
type ServiceAccount struct {
	User string `toml:"user"`
	// Password and PasswordFile exclude each other. Load reads the file (without
	// the newline at its end) into Password.
	Password     Secret `toml:"password"`
	PasswordFile string `toml:"password-file"`
}

// Import bounds what imports take from this machine.
type Import struct {
	// SortDir is the directory for sorting, absolute. Size it for the encoded
	// data of the imports that run at the same time.
	SortDir string `toml:"sort-dir"`
	// SortCompression of what is written there: none, snappy or zstd.
	SortCompression string `toml:"sort-compression"`
	// DiskQuota is how much one job may have there, unless its statement says otherwise; 0 means any amount.
	DiskQuota Size `toml:"disk-quota"`
	// CheckpointBytes of source, or what takes CheckpointInterval, is done again at
	// most when a job is interrupted.
	CheckpointBytes    Size     `toml:"checkpoint-bytes"`
	CheckpointInterval Duration `toml:"checkpoint-interval"`
	// MemoryBudget is the memory of the process, see memory.go.
	MemoryBudget Size `toml:"memory-budget"`
	// MaxLatency is the option max_latency of jobs without one; 0 means none.
	MaxLatency Duration `toml:"max-latency"`
	// Threads caps what one job may use; 0 means the number of CPUs.
	Threads int `toml:"threads"`
}

// Storage says how sources are reached that are on no disk of this machine.
type Storage struct {
	// Patience is how long a job waits for a store that fails, without a byte of
	// progress, before it is paused.
	Patience Duration `toml:"patience"`
	S3       S3       `toml:"s3"`
}

// S3 holds for s3:// locations that don't say otherwise; the credentials only for those that have
// none and name no other endpoint.
type S3 struct {
	// Endpoint is a URL; "" means AWS. Region is asked from the store if "".
	Endpoint string `toml:"endpoint"`
	Region   string `toml:"region"`
	// Provider is "", or the name of a service whose ways differ from those of AWS.
	Provider string `toml:"provider"`
	// ForcePathStyle has the bucket in the URL's path, not in its host name.
	ForcePathStyle bool `toml:"force-path-style"`
	// AccessKey and SecretAccessKey belong together; the latter may be in a file, as the service account's
	// password may. Without them the environment or the machine has credentials, or none are needed.
	AccessKey           string `toml:"access-key"`
	SecretAccessKey     Secret `toml:"secret-access-key"`
	SecretAccessKeyFile string `toml:"secret-access-key-file"`
	SessionToken        Secret `toml:"session-token"`
	// RoleARN names a role to assume, with ExternalID if it asks for one.
	RoleARN    string `toml:"role-arn"`
	ExternalID Secret `toml:"external-id"`
}

// Jobs says how many jobs run, and what becomes of those that have ended, or have no Sluice that runs them.
type Jobs struct {
	// Concurrency is how many jobs run at a time, each with an equal part of what
	// import.memory-budget leaves to jobs. The next ones wait.
	Concurrency int `toml:"concurrency"`
	// Retention is for how long ended jobs are kept, with their errors; 0 means
	// for ever. Thirty days let a monthly import be compared with the one before,
	// and keep the rows that were left out, which are user data, no longer than that.
	Retention Duration `toml:"retention"`
	// TakeoverTimeout is how long a job waits whose Sluice went away and whose source
	// no other one can read, before it fails.
	TakeoverTimeout Duration `toml:"takeover-timeout"`
}

// Default returns the configuration of an empty file. It lacks a backend, for
// which there is no sensible default address but TiDB's on this machine.
func Default() Config {
	return Config{
		Addr:         "127.0.0.1:6000",
		StatusAddr:   "127.0.0.1:6080",
		Schema:       "sluice",
		GracefulWait: Duration(15 * time.Second),
		Log:          Log{Level: "info", Format: "text"},
		Backend: Backend{
			Addresses:      []string{"127.0.0.1:4000"},
			DialTimeout:    Duration(3 * time.Second),
			HealthInterval: Duration(2 * time.Second),
		},
		ServiceAccount: ServiceAccount{User: "root"},
		Import: Import{
			SortDir:            filepath.Join(os.TempDir(), "sluice-sort"),
			SortCompression:    "none",
			CheckpointBytes:    1 << 30,
			CheckpointInterval: Duration(time.Minute),
			MemoryBudget:       256 << 20,
		},
		Storage: Storage{Patience: Duration(15 * time.Minute), S3: S3{ForcePathStyle: true}},
		Jobs:    Jobs{Concurrency: 1, Retention: Duration(30 * 24 * time.Hour), TakeoverTimeout: Duration(30 * time.Minute)},
	}
}
