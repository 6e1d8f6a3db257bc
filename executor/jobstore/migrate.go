package jobstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// migration is one step of the schema. Its statements can be repeated: a
// process may die between them and the row that says they are done.
type migration struct {
	name       string
	statements []string
}

// migrations in the order of their versions, which count from 1. Steps are only
// ever appended. %s is the quoted schema.
var migrations = []migration{
	{"jobs and counters", []string{
		`CREATE TABLE IF NOT EXISTS %s.counters (
			name VARCHAR(64) NOT NULL PRIMARY KEY,
			value BIGINT NOT NULL
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
		`INSERT IGNORE INTO %s.counters (name, value) VALUES ('job', 0)`,
		`CREATE TABLE IF NOT EXISTS %s.jobs (
			id BIGINT NOT NULL PRIMARY KEY,
			group_key VARCHAR(256) NULL,
			data_source LONGTEXT NOT NULL,
			table_schema VARCHAR(64) NOT NULL,
			table_name VARCHAR(64) NOT NULL,
			table_id BIGINT NOT NULL,
			active_key VARCHAR(160) NULL,
			statement LONGTEXT NOT NULL,
			options LONGTEXT NOT NULL,
			format_version INT NOT NULL,
			status VARCHAR(16) NOT NULL,
			phase VARCHAR(32) NOT NULL,
			step VARCHAR(32) NOT NULL,
			source_bytes BIGINT NOT NULL,
			imported_rows BIGINT NULL,
			checksum BIGINT UNSIGNED NULL,
			total_kvs BIGINT UNSIGNED NULL,
			total_bytes BIGINT UNSIGNED NULL,
			error_code INT NOT NULL DEFAULT 0,
			message LONGTEXT NOT NULL,
			created_by VARCHAR(300) NOT NULL,
			create_time DATETIME(6) NOT NULL,
			start_time DATETIME(6) NULL,
			end_time DATETIME(6) NULL,
			update_time DATETIME(6) NOT NULL,
			owner VARCHAR(255) NOT NULL,
			term BIGINT NOT NULL,
			lease_until DATETIME(6) NOT NULL,
			cancel_requested TINYINT NOT NULL DEFAULT 0,
			UNIQUE KEY active_key (active_key),
			KEY created_by (created_by),
			KEY lease (status, lease_until)
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
	}},
	{"rows that are left out", []string{
		`CREATE TABLE IF NOT EXISTS %s.job_errors (
			job_id BIGINT NOT NULL,
			seq BIGINT NOT NULL,
			class VARCHAR(16) NOT NULL,
			file TEXT NOT NULL,
			line BIGINT NOT NULL,
			byte_offset BIGINT NOT NULL,
			column_name VARCHAR(64) NOT NULL,
			value TEXT NOT NULL,
			error_code INT NOT NULL,
			message TEXT NOT NULL,
			recorded_time DATETIME(6) NOT NULL,
			PRIMARY KEY (job_id, seq)
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
		`ALTER TABLE %s.jobs ADD COLUMN IF NOT EXISTS error_rows BIGINT NOT NULL DEFAULT 0`,
	}},
	{"jobs that go on", []string{
		`CREATE TABLE IF NOT EXISTS %s.checkpoints (
			job_id BIGINT NOT NULL PRIMARY KEY,
			term BIGINT NOT NULL,
			version BIGINT NOT NULL,
			data LONGBLOB NOT NULL,
			update_time DATETIME(6) NOT NULL
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
		`ALTER TABLE %s.jobs
			ADD COLUMN IF NOT EXISTS pause_requested TINYINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS settings BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS task LONGTEXT NULL,
			ADD COLUMN IF NOT EXISTS process VARCHAR(255) NOT NULL DEFAULT '',
			ADD COLUMN IF NOT EXISTS step_done BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS step_size BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS step_speed BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS step_seconds_left BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS total_done BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS total_speed BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS total_seconds_left BIGINT NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS percent DOUBLE NOT NULL DEFAULT 0`,
	}},
	{"changes to the cluster", []string{
		`CREATE TABLE IF NOT EXISTS %s.cluster_changes (
			kind VARCHAR(32) NOT NULL,
			owner VARCHAR(128) NOT NULL,
			job_id BIGINT NOT NULL,
			name VARCHAR(160) NOT NULL,
			key_ranges LONGTEXT NOT NULL,
			instance VARCHAR(255) NOT NULL,
			process VARCHAR(255) NOT NULL,
			taken_time DATETIME(6) NOT NULL,
			expires_time DATETIME(6) NOT NULL,
			PRIMARY KEY (kind, owner)
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
	}},
	{"what steps take", []string{
		`ALTER TABLE %s.jobs ADD COLUMN IF NOT EXISTS step_percent DOUBLE NOT NULL DEFAULT 0`,
		`ALTER TABLE %s.jobs ADD COLUMN IF NOT EXISTS steps TEXT NULL`,
	}},
	{"what happens to jobs", []string{
		`CREATE TABLE IF NOT EXISTS %s.job_events (
			job_id BIGINT NOT NULL,
			seq BIGINT NOT NULL,
			event VARCHAR(32) NOT NULL,
			account VARCHAR(300) NOT NULL,
			instance VARCHAR(255) NOT NULL,
			term BIGINT NOT NULL,
			status VARCHAR(16) NOT NULL,
			message LONGTEXT NOT NULL,
			event_time DATETIME(6) NOT NULL,
			PRIMARY KEY (job_id, seq)
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
		`ALTER TABLE %s.jobs ADD COLUMN IF NOT EXISTS events BIGINT NOT NULL DEFAULT 0`,
	}},
	{"tables of jobs", []string{
		// First of all: a Sluice that reserves tables in this column accepts no job and ends none from here on.
		`ALTER TABLE %s.jobs CHANGE COLUMN IF EXISTS active_key old_active_key VARCHAR(160) NULL`,
		`CREATE TABLE IF NOT EXISTS %s.job_tables (
			job_id BIGINT NOT NULL,
			seq BIGINT NOT NULL,
			table_schema VARCHAR(64) NOT NULL,
			table_name VARCHAR(64) NOT NULL,
			table_id BIGINT NULL,
			name_key VARCHAR(160) NULL,
			active TINYINT NULL,
			state VARCHAR(16) NOT NULL DEFAULT '',
			imported_rows BIGINT NOT NULL DEFAULT 0,
			source_bytes BIGINT NOT NULL DEFAULT 0,
			message TEXT NOT NULL,
			PRIMARY KEY (job_id, seq),
			UNIQUE KEY active_id (table_id, active),
			UNIQUE KEY active_name (name_key, active)
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
		`INSERT IGNORE INTO %s.job_tables (job_id, seq, table_schema, table_name, table_id, name_key, active, message)
			SELECT id, 1, table_schema, table_name, NULLIF(table_id, 0),
				CASE WHEN table_id = 0 THEN SUBSTRING(old_active_key, 6) END, CASE WHEN old_active_key IS NOT NULL THEN 1 END, ''
			FROM %[1]s.jobs`,
		`ALTER TABLE %s.jobs
			ADD COLUMN IF NOT EXISTS kind VARCHAR(16) NOT NULL DEFAULT 'import',
			ADD COLUMN IF NOT EXISTS targets LONGTEXT NULL,
			ADD COLUMN IF NOT EXISTS result TEXT NULL,
			ADD COLUMN IF NOT EXISTS connection_id BIGINT NOT NULL DEFAULT 0`,
	}},
	{"the old way to hold a table", []string{
		`ALTER TABLE %s.jobs DROP COLUMN IF EXISTS old_active_key`,
	}},
	{"tables of rows that are left out", []string{
		`ALTER TABLE %s.job_errors
			ADD COLUMN IF NOT EXISTS table_schema VARCHAR(64) NOT NULL DEFAULT '',
			ADD COLUMN IF NOT EXISTS table_name VARCHAR(64) NOT NULL DEFAULT ''`,
	}},
}

// migrateLimit bounds the time that all migrations take, waiting for another
// Sluice that migrates included.
const migrateLimit = 5 * time.Minute

// migrateIf migrates, with existing only if there are tables.
func (s *Store) migrateIf(ctx context.Context, existing bool) error {
	if existing {
		err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
			there, err := s.hasTables(c)
			if err == nil && !there {
				err = ErrNoTables
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.migrate(ctx)
}

// migrate brings the schema to the newest version. Several processes may start
// at once: a named lock of the cluster lets one after the other in. Waiting for
// it goes by short turns, because a cluster may be slow to tell a waiter that
// the lock is free, and the one that had it has usually done the work.
func (s *Store) migrate(ctx context.Context) error {
	return s.pool.UseFor(ctx, migrateLimit, func(c *sqlconn.Session) error {
		for {
			if done, err := s.migrated(c); done || err != nil {
				return err
			}
			r, err := c.Exec("SELECT GET_LOCK('sluice.migrate', 1)")
			if isLockWait(err) {
				continue
			}
			if err != nil {
				return err
			}
			if got, err := r.GetInt(0, 0); err != nil {
				return err
			} else if got == 1 {
				return s.migrateLocked(c)
			}
		}
	})
}

// isLockWait reports whether a server has given up waiting for a lock. A busy TiDB
// says so of GET_LOCK with its own words instead of answering 0.
func isLockWait(err error) bool {
	switch sqlconn.Code(err) {
	case mysql.ER_LOCK_WAIT_TIMEOUT:
		return true
	case mysql.ER_UNKNOWN_ERROR:
		return strings.Contains(strings.ToLower(err.Error()), "lock wait timeout")
	}
	return false
}

func (s *Store) migrateLocked(c *sqlconn.Session) error {
	defer func() {
		if _, err := c.Exec("SELECT RELEASE_LOCK('sluice.migrate')"); err != nil {
			c.Discard() // closing the connection frees the lock
		}
	}()
	return s.applyMigrations(c)
}

// migrated looks without changing anything, so that a service account without
// CREATE can run on tables that somebody else made.
func (s *Store) migrated(c *sqlconn.Session) (bool, error) {
	if there, err := s.hasTables(c); err != nil || !there {
		return false, err
	}
	version, err := s.version(c)
	return version == len(migrations), err
}

func (s *Store) hasTables(c *sqlconn.Session) (bool, error) {
	r, err := c.Exec("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = 'migrations'",
		s.name)
	if err != nil {
		return false, err
	}
	n, err := r.GetInt(0, 0)
	return n > 0, err
}

func (s *Store) applyMigrations(c *sqlconn.Session) error {
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS %s",
		`CREATE TABLE IF NOT EXISTS %s.migrations (
			version INT NOT NULL PRIMARY KEY,
			name VARCHAR(128) NOT NULL,
			applied_at DATETIME(6) NOT NULL
		) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
	} {
		if _, err := c.Exec(fmt.Sprintf(sql, s.schema)); err != nil {
			return err
		}
	}
	version, err := s.version(c)
	if err != nil {
		return err
	}
	for i := version; i < len(migrations); i++ {
		for _, sql := range migrations[i].statements {
			if _, err := c.Exec(fmt.Sprintf(sql, s.schema)); err != nil {
				return fmt.Errorf("migration %d (%s): %w", i+1, migrations[i].name, err)
			}
		}
		if _, err := c.Exec("INSERT INTO "+s.schema+".migrations (version, name, applied_at) VALUES (?, ?, "+now+")",
			i+1, migrations[i].name); err != nil {
			return err
		}
	}
	return nil
}

// version is the newest applied one, 0 for none.
func (s *Store) version(c *sqlconn.Session) (int, error) {
	r, err := c.Exec("SELECT COALESCE(MAX(version), 0) FROM " + s.schema + ".migrations")
	if err != nil {
		return 0, err
	}
	n, err := r.GetInt(0, 0)
	if err == nil && n > int64(len(migrations)) {
		err = fmt.Errorf("%w (version %d, this one knows %d)", ErrNewerSchema, n, len(migrations))
	}
	return int(n), err
}
