package crash_test

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

// restoredDB is the database that a schema's restores make, liveDB the one that its archive is of.
func restoredDB(schema string) string { return schema + "_restored" }

func liveDB(schema string) string { return schema + "_live" }

var longForm = longKills > 0 || longFaults > 0

// restoreSize is for databases that take their time: the long form's have a table for which the cluster is changed.
var restoreSize = map[bool]size{false: {files: 4, rowsPerFile: 700}, true: {files: 8, rowsPerFile: 600}}[longForm]

// restoreText is how long the rows' texts are.
var restoreText = map[bool]int{false: 100, true: 2000}[longForm]

// restoreKinds are the kinds of restores.
func restoreKinds() []processKind {
	kind := func(name string, short bool, source func(t *testing.T, db *sql.DB, schema string) string) processKind {
		return processKind{name: "RESTORE " + name, short: short, restores: true, source: source,
			prepare: func(t *testing.T, db *sql.DB, schema string) {
				_, err := db.ExecContext(t.Context(), "DROP DATABASE IF EXISTS `"+restoredDB(schema)+"`")
				require.NoError(t, err)
			},
			statement: func(schema, location string, detached bool) string {
				from := "shop"
				if strings.Contains(name, "archive") {
					from = liveDB(schema)
				}
				options := ""
				if detached {
					options = " DETACHED"
				}
				return fmt.Sprintf("RESTORE DATABASE `%s` AS `%s` FROM %s%s", from, restoredDB(schema), location, options)
			},
			content: func(t *testing.T, db *sql.DB, schema string) []string {
				return databaseContent(t, db, restoredDB(schema), false)
			},
		}
	}
	return []processKind{
		kind("dump", true, folderDump),
		kind("mysqldump", false, fileDump),
		kind("archive", true, archiveOf(brarchive.Options{})),
		kind("encrypted archive", false, archiveOf(brarchive.Options{Method: "aes256-ctr", Compression: "lz4"})),
		bySQL(kind("dump by SQL", false, folderDump), dumpColumns),
		bySQL(kind("archive by SQL", false, archiveOf(brarchive.Options{})), archiveColumns),
		onBase(kind("incremental archive", false, incrementalArchive)),
	}
}

// dumpTable is a table of the dumps.
type dumpTable struct {
	name, columns string
	files, rows   int
	form          string // of its files in a folder
}

func dumpTables() []dumpTable {
	s := restoreSize
	return []dumpTable{
		{"orders", "(id BIGINT PRIMARY KEY AUTO_INCREMENT, u VARCHAR(20), v TEXT, UNIQUE KEY (u))", s.files, s.rowsPerFile, ".sql"},
		{"parts", "(id BIGINT, u VARCHAR(20), v TEXT, KEY (u)) PARTITION BY HASH (id) PARTITIONS 3", 2, s.rowsPerFile, ".csv.gz"},
		{"numbered", "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT, n BIGINT DEFAULT nextval(numbers))", 2, 100, ".csv"},
		{"small1", "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT)", 1, 10, ".csv"},
		{"small2", "(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT)", 1, 10, ".sql.zst"},
		{"empty", "(id BIGINT PRIMARY KEY)", 0, 0, ""},
	}
}

// text is that of a file of a table.
func (d *dumpTable) text(file int, form string) string {
	rows := size{files: d.files, rowsPerFile: d.rows}
	k := kind{size: rows, rows: func(i int) string { // no id is 0, for which AUTO_INCREMENT would give another one
		n := 1 + i*7919%rows.rows()
		return fmt.Sprintf("%d,u%05d,%s", n, n, strings.Repeat("v", restoreText+i%50))
	}}
	text := k.text(file, form)
	if strings.HasPrefix(form, ".csv") {
		return "id,u,v\n" + text
	}
	return strings.ReplaceAll(text, "`t`", "`"+d.name+"`")
}

const (
	dumpSequence = "CREATE SEQUENCE `numbers` start with 5 minvalue 1 maxvalue 9223372036854775806 increment by 1 cache 10 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`numbers`,41);\n"
	dumpView     = "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `few` AS SELECT `id`, `u` FROM `orders` WHERE `id` < 20;\n"
	dumpView2    = "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `a_view_of_it` AS SELECT `id` FROM `few` WHERE `id` < 10;\n"
)

// folderDump writes a dump as Dumpling does.
func folderDump(t *testing.T, _ *sql.DB, _ string) string {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	write("shop-schema-create.sql", []byte("CREATE DATABASE `shop`;"))
	write("shop.numbers-schema-sequence.sql", []byte(dumpSequence))
	write("shop.few-schema-view.sql", []byte(dumpView))
	write("shop.a_view_of_it-schema-view.sql", []byte(dumpView2))
	for _, d := range dumpTables() {
		write("shop."+d.name+"-schema.sql", []byte("CREATE TABLE `"+d.name+"` "+d.columns+";\n"))
		for f := range d.files {
			write(fmt.Sprintf("shop.%s.%04d%s", d.name, f, d.form), packed(t, d.form, d.text(f, d.form)))
		}
	}
	return "'" + dir + "'"
}

// fileDump writes a dump as mysqldump does.
func fileDump(t *testing.T, _ *sql.DB, _ string) string {
	var b strings.Builder
	b.WriteString("-- MySQL dump\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n\nUSE `shop`;\n")
	for _, d := range dumpTables() {
		if strings.Contains(d.columns, "nextval") {
			d.columns = strings.ReplaceAll(d.columns, ", n BIGINT DEFAULT nextval(numbers)", "")
		}
		fmt.Fprintf(&b, "DROP TABLE IF EXISTS `%s`;\nCREATE TABLE `%s` %s;\nLOCK TABLES `%s` WRITE;\n", d.name, d.name, d.columns, d.name)
		for f := range d.files {
			b.WriteString(d.text(f, ".sql"))
		}
		b.WriteString("UNLOCK TABLES;\n")
	}
	b.WriteString(dumpView + dumpView2)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "all.sql"), []byte(b.String()), 0o600))
	return "'" + dir + "'"
}

// archiveColumns are the tables of the archives' databases.
func archiveColumns() map[string]string {
	return map[string]string{
		"large":   "(id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARBINARY(1100))",
		"parts":   "(id BIGINT, v VARCHAR(200), KEY (v)) PARTITION BY HASH (id) PARTITIONS 3",
		"nothing": "(id BIGINT PRIMARY KEY)",
	}
}

// makeLive makes the database that archives are of.
func makeLive(t *testing.T, db *sql.DB, live string) {
	exec := func(stmt string) {
		_, err := db.ExecContext(t.Context(), strings.ReplaceAll(stmt, "$", live))
		require.NoError(t, err, stmt)
	}
	if longForm {
		brarchive.Shapes(t, db, live)
	} else {
		exec("CREATE DATABASE `$`")
	}
	for name, columns := range archiveColumns() {
		exec("CREATE TABLE `$`." + name + " " + columns)
	}
	exec("INSERT INTO `$`.large (v) VALUES (RANDOM_BYTES(1000))")
	for n := 1; n < restoreSize.rows()*restoreText/1000; n *= 2 {
		exec("INSERT INTO `$`.large (v) SELECT RANDOM_BYTES(1000) FROM `$`.large")
	}
	exec("INSERT INTO `$`.parts SELECT id, HEX(LEFT(v, 50)) FROM `$`.large")
	exec("CREATE VIEW `$`.few AS SELECT id FROM `$`.parts WHERE id < 20")
	exec("CREATE SEQUENCE `$`.given START WITH 5")
}

// archiveOf makes archives of a database that stays beside the restored one.
func archiveOf(o brarchive.Options) func(t *testing.T, db *sql.DB, schema string) string {
	return func(t *testing.T, db *sql.DB, schema string) string {
		live := liveDB(schema)
		makeLive(t, db, live)
		a := brarchive.Backup(t, db, "DATABASE `"+live+"`", o)
		if a.Method == "" {
			return "'" + a.Location + "'"
		}
		return fmt.Sprintf("'%s' ENCRYPTION_METHOD = '%s' ENCRYPTION_KEYFILE = '%s'", a.Location, a.Method, a.KeyFile)
	}
}

// databaseContent is all that a database holds, checked with the cluster's own means. What loosely is left out is drawn by the cluster
// when rows go in by SQL: which ids are next, and what a sequence gives.
func databaseContent(t *testing.T, db *sql.DB, name string, loosely bool) (content []string) {
	t.Helper()
	for _, object := range queryAll(t, db, "SHOW FULL TABLES FROM `"+name+"`") {
		quoted := "`" + name + "`.`" + object[0] + "`"
		content = append(content, strings.Join(object, " is a "))
		made := queryAll(t, db, "SHOW CREATE TABLE "+quoted)[0][1]
		switch object[1] {
		case "SEQUENCE":
			if content = append(content, made); object[0] == "numbers" {
				checkDrawn(t, db, name)
			} else if !loosely {
				content = append(content, "next: "+queryAll(t, db, "SELECT NEXTVAL("+quoted+")")[0][0])
			}
			continue
		case "BASE TABLE":
			_, err := db.ExecContext(t.Context(), "ADMIN CHECK TABLE "+quoted)
			require.NoError(t, err)
			sums := queryAll(t, db, "ADMIN CHECKSUM TABLE "+quoted)[0]
			if object[0] == "numbered" {
				sums = sums[:4] // large numbers take more bytes
			}
			content = append(content, fmt.Sprint("pairs and bytes: ", sums[3:]))
			made = nextID.ReplaceAllString(made, "") // of several columns it shows one
			for _, next := range queryAll(t, db, "SHOW TABLE "+quoted+" NEXT_ROW_ID") {
				if !loosely {
					content = append(content, "next: "+strings.Join(next, " "))
				}
			}
		}
		content = append(content, made)
		var rows []string
		columns := "*"
		if object[0] == "numbered" {
			columns = "id, u, v"
		}
		for _, row := range queryAll(t, db, "SELECT "+columns+" FROM "+quoted) {
			text := fmt.Sprintf("%q", row)
			if len(text) > 200 {
				text = fmt.Sprintf("%.40s... %x", text, sha256.Sum256([]byte(text)))
			}
			rows = append(rows, object[0]+": "+text)
		}
		slices.Sort(rows)
		content = append(content, rows...)
	}
	return content
}

// checkDrawn looks at what the rows of numbered have drawn from numbers. Which values these are depends on how often a life ended between a draw and the
// checkpoint behind it; but none comes twice, none is the source's own, and what comes next is behind them.
func checkDrawn(t *testing.T, db *sql.DB, name string) {
	t.Helper()
	all := queryAll(t, db, "SELECT COUNT(*), COUNT(DISTINCT n), MIN(n) > 41, MAX(n) < NEXTVAL(`"+name+"`.numbers) FROM `"+name+"`.numbered")[0]
	require.Equal(t, []string{all[0], all[0], "1", "1"}, all, "values of the sequence")
}

var nextID = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// queryAll is a result's rows as text.
func queryAll(t *testing.T, db *sql.DB, query string) [][]string {
	t.Helper()
	r, err := sqlrows.Query(t.Context(), db, query)
	require.NoError(t, err, query)
	return r.Rows
}
