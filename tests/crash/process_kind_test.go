package crash_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
)

// processKind is a kind of job as a process runs it, by a statement. A further statement that
// makes jobs gets its rows in processKinds.
type processKind struct {
	name string
	// short says that the short form has it too.
	short bool
	// source makes the files and returns how the statement names them.
	source func(t *testing.T, db *sql.DB, schema string) string
	// prepare makes the tables in a schema as they are before the job.
	prepare func(t *testing.T, db *sql.DB, schema string)
	// base brings in what the job continues, once the tables are prepared; nil if that is nothing.
	base func(t *testing.T, b *processBench)
	// statement is the job's; detached is one that doesn't wait for the job's end.
	statement func(schema, location string, detached bool) string
	// content is what the tables hold after the job, checked with the cluster's own means.
	content func(t *testing.T, db *sql.DB, schema string) []string
	// tables are those that the job writes. Of a restore the content says it all.
	tables []string
	// restores says that the job makes a database, whose name is restoredDB's.
	restores bool
	// onto says that objects of that database are there before the job. None of them goes when it is given up.
	onto bool
	// alone says that the job's rows are all that its table holds, so that the job knows its checksum.
	alone bool
	// needsRuns says that the job can't do without its sort directory once it has begun to ingest.
	needsRuns bool
}

// processSize is for rows that take their time: slowly makes their encoding last for several checkpoints,
// which a process saves in the time of some hundred plain rows.
var processSize = size{files: 24, rowsPerFile: 1000}

const slowly = "CONCAT(@v, LEFT(SHA2(REPEAT(@v, 50), 512), 8))"

// processKinds are all kinds that there are, or of these those that were asked for.
func processKinds() (all []processKind) {
	for _, k := range allKinds() {
		if strings.HasPrefix(k.name, os.Getenv(kindsEnv)) {
			all = append(all, k)
		}
	}
	return all
}

func allKinds() (all []processKind) {
	short := map[string]bool{"plain": true, "replace": true, "ignore": true, "capture": true, "bad rows": true, "filled, replace": true,
		"disk quota": true, "SQL, replace": true}
	for _, k := range kinds(processSize) {
		if k.form == givenFiles {
			continue // no IMPORT INTO names such
		}
		all = append(all, processKind{
			name: k.name, short: short[k.name], tables: []string{"t"}, alone: k.fill == "", needsRuns: k.fill != "" || k.drawn != "",
			source:  func(t *testing.T, _ *sql.DB, _ string) string { return "'" + k.source(t) + "'" },
			prepare: func(t *testing.T, db *sql.DB, schema string) { k.create(t, db, schema, "t") },
			statement: func(schema, location string, detached bool) string {
				options := ""
				if k.with != "" {
					options = ", " + k.with
				}
				if detached {
					options += ", detached"
				}
				format := "csv"
				if strings.HasPrefix(k.form, ".sql") {
					format = "sql"
				}
				return fmt.Sprintf("IMPORT INTO %s.t (id, u, @v) SET v = %s FROM %s FORMAT '%s' WITH thread=2%s", schema, slowly, location, format, options)
			},
			content: func(t *testing.T, db *sql.DB, schema string) []string { return k.content(t, db, schema, "t") },
		})
	}
	return append(all, restoreKinds()...)
}
