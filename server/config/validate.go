package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/sqlext"
)

// findings gathers what is wrong.
type findings struct{ list []error }

func (f *findings) add(err error) {
	if err != nil {
		f.list = append(f.list, err)
	}
}

func (f *findings) addf(format string, args ...any) { f.add(fmt.Errorf(format, args...)) }

func (f *findings) err() error { return errors.Join(f.list...) }

// minDiskQuota is the least that the core divides a source for, in bytes.
const minDiskQuota Size = 1 << 20

// maxIdentifier is the longest database name in characters; see TiDB's limits.
const maxIdentifier = 64

func (c *Config) validate(f *findings) {
	f.add(checkAddr("addr", c.Addr, 0))
	if c.StatusAddr != "" {
		f.add(checkAddr("status-addr", c.StatusAddr, 0))
	}
	if c.Schema == "" || len([]rune(c.Schema)) > maxIdentifier {
		f.addf("schema must have 1 to %d characters", maxIdentifier)
	}
	if len(c.Instance) > 255 {
		f.addf("instance must not be longer than 255 bytes")
	}
	positive := func(name string, d Duration) {
		if d <= 0 {
			f.addf("%s must be more than 0, not %s", name, d)
		}
	}
	if c.GracefulWait < 0 {
		f.addf("graceful-wait must not be negative")
	}
	if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, c.Log.Level) {
		f.addf("log.level must be one of %q, not %q", levels, c.Log.Level)
	}
	if formats := []string{"text", "json"}; !slices.Contains(formats, c.Log.Format) {
		f.addf("log.format must be one of %q, not %q", formats, c.Log.Format)
	}
	if len(c.Backend.Addresses) == 0 {
		f.addf("backend.addresses must name at least one TiDB server")
	}
	for i, address := range c.Backend.Addresses {
		f.add(checkAddr(fmt.Sprintf("backend.addresses[%d]", i), address, 1))
		if slices.Contains(c.Backend.Addresses[:i], address) {
			f.addf("backend.addresses names %s twice", address)
		}
	}
	positive("backend.dial-timeout", c.Backend.DialTimeout)
	positive("backend.health-interval", c.Backend.HealthInterval)
	if c.Jobs.Retention < 0 {
		f.addf("jobs.retention must not be negative")
	}
	positive("jobs.takeover-timeout", c.Jobs.TakeoverTimeout)
	positive("storage.patience", c.Storage.Patience)
	if err := c.Storage.S3.Source().Validate(); err != nil {
		f.addf("storage.s3: %w", err)
	}
	if c.ServiceAccount.User == "" {
		f.addf("service-account.user must not be empty")
	}
	if !filepath.IsAbs(c.Import.SortDir) {
		f.addf("import.sort-dir must be an absolute path, not %q", c.Import.SortDir)
	}
	if !slices.Contains([]string{"none", "snappy", "zstd"}, c.Import.SortCompression) {
		f.addf("import.sort-compression must be none, snappy or zstd, not %q", c.Import.SortCompression)
	}
	if q := c.Import.DiskQuota; q != 0 && q < minDiskQuota {
		f.addf("import.disk-quota must be 0 or at least %s, not %s", minDiskQuota, q)
	}
	if c.Import.CheckpointBytes <= 0 {
		f.addf("import.checkpoint-bytes must be positive")
	}
	positive("import.checkpoint-interval", c.Import.CheckpointInterval)
	if c.Jobs.Concurrency < 1 {
		f.addf("jobs.concurrency must be at least 1")
	}
	if least := c.leastBudget(); c.Import.MemoryBudget < least {
		f.addf("import.memory-budget must be at least %s (%s for the process, %s for each of the %d jobs that run at a time), not %s",
			least, ProcessReserve, minJobMemory, c.jobs(), c.Import.MemoryBudget)
	}
	if !sqlext.ValidMaxLatency(time.Duration(c.Import.MaxLatency)) {
		f.addf("import.max-latency must be from 1ms to 1m, or 0s for any, not %s", c.Import.MaxLatency)
	}
	if c.Import.Threads < 0 {
		f.addf("import.threads must not be negative")
	}
}

// Source is the configuration for the import core.
func (s *S3) Source() source.S3 {
	return source.S3{
		Endpoint: s.Endpoint, Region: s.Region, Provider: s.Provider, VirtualHost: !s.ForcePathStyle,
		AccessKey: s.AccessKey, SecretAccessKey: s.SecretAccessKey.Reveal(), SessionToken: s.SessionToken.Reveal(),
		RoleARN: s.RoleARN, ExternalID: s.ExternalID.Reveal(),
	}
}

// checkAddr checks host:port; a host is required where a client dials.
func checkAddr(name, addr string, minPort uint64) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s must be host:port, not %q", name, addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < minPort {
		return fmt.Errorf("%s: port must be a number from %d to 65535, not %q", name, minPort, port)
	}
	if minPort > 0 && host == "" {
		return fmt.Errorf("%s: host is missing in %q", name, addr)
	}
	return nil
}
