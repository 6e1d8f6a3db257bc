package restorejobs_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// long tells whether the long forms of tests are asked for (make test-restore).
var long = os.Getenv("SLUICE_RESTORE") == "long"

// whole is all that a database must have again after a restore, by what it is of.
type whole map[string]string

// text returns a result as a text, its rows in a fixed order, with $ in the place of a database's name.
func (b *bench) text(db *sql.DB, name, q string) string {
	b.t.Helper()
	var rows []string
	for _, row := range b.rows(db, strings.ReplaceAll(q, "{db}", name)) {
		rows = append(rows, fmt.Sprintf("%q", row))
	}
	slices.Sort(rows)
	return strings.ReplaceAll(strings.Join(rows, "\n"), name, "$")
}

// wholeOf reads what a database of brarchive.Every has, and makes sure that rows and indexes agree.
func (b *bench) wholeOf(db *sql.DB, name string, tables []string) whole {
	b.t.Helper()
	out := whole{}
	add := func(what, q string) { out[what] = b.text(db, name, q) }
	for _, table := range tables {
		quoted := "`{db}`.`" + table + "`"
		_, err := db.ExecContext(b.t.Context(), "ADMIN CHECK TABLE "+strings.ReplaceAll(quoted, "{db}", name))
		require.NoError(b.t, err, table)
		add(table+": schema", "SHOW CREATE TABLE "+quoted)
		add(table+": rows", "SELECT * FROM "+quoted)
		out[table+": pairs and bytes"] = strings.Join(b.rows(db, "ADMIN CHECKSUM TABLE "+strings.ReplaceAll(quoted, "{db}", name))[0][3:], " ")
		if table != "never_analysed" {
			add(table+": statistics", "SELECT is_index, hist_id, distinct_count, null_count, stats_ver FROM mysql.stats_histograms JOIN information_schema.tables ON tidb_table_id = table_id "+
				"WHERE stats_ver > 0 AND table_schema = '{db}' AND table_name = '"+table+"'")
			add(table+": top values", "SELECT is_index, hist_id, HEX(value), count FROM mysql.stats_top_n JOIN information_schema.partitions ON tidb_partition_id = table_id "+
				"WHERE table_schema = '{db}' AND table_name = '"+table+"'")
		}
	}
	return out
}

// othersOf reads what of a database isn't in tables.
func (b *bench) othersOf(db *sql.DB, name string, tables []string) whole {
	b.t.Helper()
	out := b.wholeOf(db, name, tables)
	add := func(what, q string) { out[what] = b.text(db, name, q) }
	add("database", "SHOW CREATE DATABASE `{db}`")
	add("objects", "SELECT table_name, table_type, tidb_row_id_sharding_info FROM information_schema.tables WHERE table_schema = '{db}'")
	for _, view := range []string{"over_rows", "over_view", "a_view_first"} {
		add(view, "SHOW CREATE VIEW `{db}`."+view)
		add(view+": rows", "SELECT * FROM `{db}`."+view)
	}
	for _, sequence := range []string{"numbers", "down", "unused"} {
		add(sequence, "SHOW CREATE SEQUENCE `{db}`."+sequence)
	}
	return out
}

// expected turns what a live database has into what a restored one should have: what a live TiDB has reserved of ids with AUTO_ID_CACHE=1 is
// not given again, rows don't end by TTL, and TiDB's BACKUP leaves placement out.
func expected(live whole) whole {
	out := whole{}
	for what, text := range live {
		switch {
		case what == "auto_inc_one: schema":
			text = nextID.ReplaceAllString(text, " AUTO_INCREMENT=4500")
		case what == "auto_inc_apart: schema":
			text = nextID.ReplaceAllString(text, " AUTO_INCREMENT=4001")
		case what == "with_ttl: schema":
			text = strings.Replace(text, "TTL_ENABLE='ON'", "TTL_ENABLE='OFF'", 1)
		case what == "placed: schema":
			text = strings.Replace(text, " /*T![placement] PLACEMENT POLICY=`$_near` */", "", 1)
			at := strings.Index(text, `\n(PARTITION`)
			text = text[:at] + ` PARTITIONS 2"]`
		}
		out[what] = text
	}
	return out
}

// same compares two databases, one thing after the other.
func same(t *testing.T, want, have whole, what string) {
	t.Helper()
	require.Len(t, have, len(want))
	for name, text := range want {
		if text != have[name] {
			t.Errorf("%s: %s was\n%s\nand is\n%s", what, name, shortened(text), shortened(have[name]))
		}
	}
}

func shortened(text string) string { return text[:min(len(text), 2000)] }

// TestRoundTrip: a database with tables of every kind, backed up by TiDB and restored under another name, is what it was. The long form does so
// with every kind of archive and into an empty cluster, and compares with what br makes of the same archives.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := b.own("$_w")
	tables := brarchive.Every(t, b.direct, live)
	t.Cleanup(func() { brarchive.DropPolicies(t, b.direct, live) })
	want := expected(b.othersOf(b.direct, live, tables))
	made := brarchive.Backup(t, b.proxy, "DATABASE `"+live+"`", brarchive.Options{More: "IGNORE_STATS = FALSE", Method: "aes192-ctr", Compression: "lz4"})
	b.exec("RESTORE DATABASE `$_w` AS `$_x` FROM '" + made.Location + "'" + key(made))
	same(t, want, b.othersOf(b.direct, b.own("$_x"), tables), "renamed")

	tables = append(tables, brarchive.Grow(t, b.direct, live, tables)...)
	want = expected(b.othersOf(b.direct, live, tables))
	next := brarchive.Backup(t, b.proxy, "DATABASE `"+live+"`", brarchive.Options{More: "IGNORE_STATS = FALSE", Method: "aes128-ctr", LastBackupTS: made.BackupTS})
	b.exec("RESTORE DATABASE `$_w` AS `$_x` FROM '" + next.Location + "'" + key(next) + fmt.Sprintf(" LAST_BACKUP = %d", made.BackupTS))
	same(t, want, b.othersOf(b.direct, b.own("$_x"), tables), "renamed, and what has changed since")
	b.exec("DROP DATABASE `$_w`")
	if long {
		roundTrips(t, b)
	}
}

// key is how RESTORE is told how an archive is encrypted.
func key(a brarchive.Archive) string {
	if a.Method == "" {
		return ""
	}
	return fmt.Sprintf(" ENCRYPTION_METHOD = '%s' ENCRYPTION_KEYFILE = '%s'", a.Method, a.KeyFile)
}

// archiveKind is a way to back a database up.
type archiveKind struct {
	what    string // behind BACKUP, and RESTORE
	br      []string
	full    bool
	tables  bool // alone
	options brarchive.Options
}

// roundTrips is the long form of TestRoundTrip.
func roundTrips(t *testing.T, from *bench) {
	bin, err := peers.BuildBR(t.Context())
	require.NoError(t, err)
	cluster := playground.ForTest(t, playground.Options{Stores: 3})
	empty := benchOn(t, cluster, instance.ForTest(t, sluiceAt(cluster)))
	const live = "everything"
	tables := brarchive.Every(t, from.direct, live)
	before := from.othersOf(from.direct, live, tables)
	all := make([]string, len(tables))
	for i, table := range tables {
		all[i] = "`" + live + "`.`" + table + "`"
	}
	for name, kind := range map[string]archiveKind{
		"full":     {what: "DATABASE *", br: []string{"full", "--filter", live + ".*"}, full: true, options: brarchive.Options{Method: "aes128-ctr"}},
		"database": {what: "DATABASE " + live, br: []string{"db", "--db", live}, options: brarchive.Options{Method: "aes192-ctr", Compression: "snappy", Checksum: true}},
		"lz4":      {what: "DATABASE " + live, br: []string{"db", "--db", live}, options: brarchive.Options{Compression: "lz4", Method: "aes256-ctr"}},
		"plain":    {what: "DATABASE " + live, br: []string{"db", "--db", live}},
		"table":    {what: "TABLE `" + live + "`.by_list", br: []string{"table", "--db", live, "--table", "by_list"}, tables: true},
	} {
		t.Run(name, func(t *testing.T) {
			empty, from := empty.with(t), from.with(t)
			kind.options.More = "IGNORE_STATS = FALSE"
			made := brarchive.Backup(t, from.proxy, kind.what, kind.options)
			want, read := expected(before), (*bench).othersOf
			names := tables
			if kind.tables {
				names, read = []string{"by_list"}, (*bench).wholeOf
				want = expected(from.wholeOf(from.direct, live, names))
			}
			empty.exec("RESTORE " + strings.Replace(kind.what, "DATABASE "+live, "SCHEMA "+live, 1) + " FROM '" + made.Location + "'" + key(made) + filter(kind, live))
			same(t, want, read(empty, empty.direct, live, names), "restored")
			ours := empty.nextIDs(live, names)
			empty.exec("DROP DATABASE " + live)
			brarchive.DropPolicies(t, empty.direct, live)

			args := append([]string{}, kind.br...)
			if made.Method != "" {
				args = append(args, "--crypter.method", made.Method, "--crypter.key-file", made.KeyFile)
			}
			_, err := peers.BR{Bin: bin, Cluster: empty.cluster, Storage: made.Location, WorkDir: t.TempDir()}.Restore(t.Context(), args...)
			require.NoError(t, err)
			same(t, want, read(empty, empty.direct, live, names), "restored by br")
			require.Equal(t, empty.nextIDs(live, names), ours, "the next ids that br leaves")
			empty.exec("DROP DATABASE " + live)
			brarchive.DropPolicies(t, empty.direct, live)

			if !kind.full && !kind.tables {
				from.exec("RESTORE DATABASE " + live + " AS `$_y` FROM '" + made.Location + "'" + key(made))
				same(t, want, read(from, from.direct, from.own("$_y"), names), "renamed")
				from.exec("DROP DATABASE `$_y`")
			}
		})
	}
	t.Run("incremental", func(t *testing.T) { growing(t, from.with(t), empty.with(t), bin, live, tables) })
	brarchive.Drop(t, from.direct, live)
	brarchive.DropPolicies(t, from.direct, live)
}

// growing backs a database up, changes it and backs up what has changed, and has both restored one after the other, by Sluice and by br.
func growing(t *testing.T, from, empty *bench, bin, live string, tables []string) {
	options := brarchive.Options{More: "IGNORE_STATS = FALSE", Method: "aes256-ctr"}
	base := brarchive.Backup(t, from.proxy, "DATABASE "+live, options)
	tables = append(slices.Clone(tables), brarchive.Grow(t, from.direct, live, tables)...)
	tables = brarchive.Reshape(t, from.direct, live, tables)
	want := expected(from.othersOf(from.direct, live, tables))
	options.LastBackupTS = base.BackupTS
	next := brarchive.Backup(t, from.proxy, "DATABASE "+live, options)

	empty.exec("RESTORE SCHEMA " + live + " FROM '" + base.Location + "'" + key(base))
	empty.exec("RESTORE SCHEMA " + live + " FROM '" + next.Location + "'" + key(next) + fmt.Sprintf(" LAST_BACKUP = %d", base.BackupTS))
	same(t, want, empty.othersOf(empty.direct, live, tables), "restored")
	ours := empty.nextIDs(live, tables)
	empty.exec("DROP DATABASE " + live)
	brarchive.DropPolicies(t, empty.direct, live)

	for _, made := range []brarchive.Archive{base, next} {
		_, err := peers.BR{Bin: bin, Cluster: empty.cluster, Storage: made.Location, WorkDir: t.TempDir()}.Restore(t.Context(), "db", "--db", live,
			"--crypter.method", made.Method, "--crypter.key-file", made.KeyFile)
		require.NoError(t, err)
	}
	same(t, want, empty.othersOf(empty.direct, live, tables), "restored by br")
	require.Equal(t, empty.nextIDs(live, tables), ours, "the next ids that br leaves")
	empty.exec("DROP DATABASE " + live)
	brarchive.DropPolicies(t, empty.direct, live)
}

// with is the bench for a test that is a part of its own.
func (b *bench) with(t *testing.T) *bench {
	part := *b
	part.t = t
	return &part
}

// filter keeps a full restore to one database: other tests have theirs in the cluster that is backed up.
func filter(kind archiveKind, live string) string {
	if !kind.full {
		return ""
	}
	return " FILTER = '" + live + ".*'"
}

// nextIDs are those that tables of a database give next. That of rows without a key, beside an AUTO_INCREMENT of its own, is left out: SQL can only
// bring it further than it was.
func (b *bench) nextIDs(name string, tables []string) whole {
	b.t.Helper()
	out := whole{}
	for _, table := range tables {
		var ids []string
		for _, row := range b.rows(b.direct, "SHOW TABLE `"+name+"`.`"+table+"` NEXT_ROW_ID") {
			if table != "auto_inc_apart" || row[4] != "_TIDB_ROWID" {
				ids = append(ids, row[4]+" "+row[3])
			}
		}
		slices.Sort(ids)
		out[table] = strings.Join(ids, ", ")
	}
	return out
}
