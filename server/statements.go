package main

import (
	"context"
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/server/proxy"
	"github.com/sluicedb/sluice/sqlext"
)

// statements joins sqlext and executor into the proxy's Interceptor.
type statements struct {
	executor *executor.Executor
}

// MaybeOurs implements proxy.Interceptor.
func (statements) MaybeOurs(text []byte) bool { return sqlext.MaybeOurs(text) }

// Recognise implements proxy.Interceptor.
func (s statements) Recognise(text []byte, session proxy.TextMode) (proxy.Statement, error) {
	mode, err := mysql.GetSQLMode(session.SQLMode)
	if err != nil {
		return nil, fmt.Errorf("sql_mode %q of the session: %w", session.SQLMode, err)
	}
	sql, decodeErr := decode(text, session.Charset)
	parsed, err := sqlext.Parse(string(sql), mode)
	if err != nil || parsed == nil {
		return nil, err
	}
	if decodeErr != nil {
		return nil, fmt.Errorf("statement is not valid %s: %w", session.Charset, decodeErr)
	}
	return &statement{executor: s.executor, parsed: parsed}, nil
}

// decode returns text in UTF-8. Most character sets of TiDB are UTF-8 or a part of
// it, and their texts stay as they are. Of a text that is not valid the error comes
// with a replacement good enough to see whether it is ours.
func decode(text []byte, name string) ([]byte, error) {
	encoding := charset.FindEncodingTakeUTF8AsNoop(name)
	utf8, err := encoding.Transform(nil, text, charset.OpDecode)
	if err != nil {
		utf8, _ = encoding.Transform(nil, text, charset.OpDecodeReplace)
	}
	return utf8, err
}

// statement is one of ours on its way to the executor.
type statement struct {
	executor *executor.Executor
	parsed   sqlext.Statement
}

// Kind implements proxy.Statement.
func (s *statement) Kind() string {
	switch s.parsed.(type) {
	case *sqlext.ImportInto:
		return "import_into"
	case *sqlext.ShowImportJobs:
		return "show_import_jobs"
	case *sqlext.ShowImportJob:
		return "show_import_job"
	case *sqlext.ShowImportErrors:
		return "show_import_errors"
	case *sqlext.ShowImportEvents:
		return "show_import_events"
	case *sqlext.ShowImportGroups:
		return "show_import_groups"
	case *sqlext.ShowImportClusterState:
		return "show_import_cluster_state"
	case *sqlext.RepairImportClusterState:
		return "repair_import_cluster_state"
	case *sqlext.CancelImportJob:
		return "cancel_import_job"
	case *sqlext.PauseImportJob:
		return "pause_import_job"
	case *sqlext.ResumeImportJob:
		return "resume_import_job"
	case *sqlext.RetryImportJob:
		return "retry_import_job"
	case *sqlext.AlterImportJob:
		return "alter_import_job"
	}
	return "other"
}

// Run implements proxy.Statement.
func (s *statement) Run(ctx context.Context, session executor.Session) (*executor.Result, error) {
	return s.executor.Execute(ctx, session, s.parsed)
}
