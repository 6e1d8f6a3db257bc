package restorejobs_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/oracle"

	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// state is all that SELECT and SHOW CREATE TABLE tell of a database's tables and its view, by name.
func (b *bench) state(db string, tables []string) map[string][]string {
	b.t.Helper()
	out := map[string][]string{}
	for _, name := range append([]string{"over_rows"}, tables...) {
		made := strings.ReplaceAll(b.rows(b.direct, "SHOW CREATE TABLE `"+db+"`.`"+name+"`")[0][1], b.own(db), "$")
		if strings.Contains(made, "AUTO_ID_CACHE=1 ") { // a restore leaves out what the live table has reserved, TiDB's too
			made = nextID.ReplaceAllString(made, "")
		}
		out[name+" is made by"] = []string{made}
		var rows []string
		for _, row := range b.rows(b.direct, "SELECT * FROM `"+db+"`.`"+name+"`") {
			rows = append(rows, fmt.Sprintf("%q", row))
		}
		slices.Sort(rows)
		out[name] = rows
	}
	return out
}

var nextID = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// checked makes sure that tables and their indexes agree.
func (b *bench) checked(db string, tables []string) {
	b.t.Helper()
	for _, name := range tables {
		_, err := b.direct.ExecContext(b.t.Context(), b.own("ADMIN CHECK TABLE `"+db+"`.`"+name+"`"))
		require.NoError(b.t, err, name)
	}
}

// secret makes sure that neither what is kept of jobs nor the log has a text.
func (b *bench) secret(text string) {
	b.t.Helper()
	for _, table := range []string{"jobs", "job_tables", "job_events", "job_errors", "checkpoints"} {
		for _, row := range b.rows(b.direct, "SELECT * FROM sluice."+table) {
			require.NotContains(b.t, strings.ToLower(strings.Join(row, " ")), text, table)
		}
	}
	for _, stmt := range []string{"SHOW IMPORT JOBS", "SHOW RESTORES"} {
		require.NotContains(b.t, strings.ToLower(fmt.Sprint(b.rows(b.proxy, stmt))), text)
	}
	require.NotContains(b.t, strings.ToLower(b.sluice.LogTail(wholeLog)), text)
}

// wholeLog is more lines than a log of these tests has.
const wholeLog = 1 << 20

// TestRestoreArchive: what TiDB's own BACKUP has written, through the proxy, is restored once it is gone, and beside itself under another
// name, with the same answer as TiDB's RESTORE gives.
func TestRestoreArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tables := brarchive.Shapes(t, b.direct, b.own("$_a"))
	before := b.state("$_a", tables)
	made := brarchive.Backup(t, b.proxy, b.own("DATABASE `$_a`"), brarchive.Options{})
	brarchive.Drop(t, b.direct, b.own("$_a"))
	theirs := b.table(b.direct, "RESTORE DATABASE `$_a` FROM '"+made.Location+"'")[0]
	brarchive.Drop(t, b.direct, b.own("$_a"))

	ours := b.row("RESTORE DATABASE `$_a` FROM '" + made.Location + "' CONCURRENCY 4 RATE_LIMIT = 200 MB/SECOND CHECKSUM = TRUE CHECKSUM_CONCURRENCY 3 ONLINE TRUE SEND_CREDENTIALS_TO_TIKV FALSE WITH_SYS_TABLE FALSE LOAD_STATS FALSE")
	for _, column := range []string{"Destination", "Size", "BackupTS"} {
		require.Equal(t, theirs[column], ours[column], column)
	}
	require.Equal(t, fmt.Sprint(made.BackupTS), ours["BackupTS"])
	require.Len(t, ours["Cluster TS"], len(theirs["Cluster TS"]))
	require.Greater(t, ours["Cluster TS"], theirs["Cluster TS"])
	b.checked("$_a", tables)
	require.Equal(t, before, b.state("$_a", tables))

	ours = b.row("RESTORE DATABASE `$_a` AS `$_b` FROM '" + made.Location + "'")
	require.Equal(t, theirs["Size"], ours["Size"])
	b.checked("$_b", tables)
	require.Equal(t, before, b.state("$_b", tables))
	shown := b.row("SHOW RESTORES WHERE Targets = '`$_a` AS `$_b`'")
	require.Equal(t, fmt.Sprint(made.BackupTS), shown["Backup_TS"])
	require.Equal(t, ours["Cluster TS"], shown["Cluster_TS"])
	require.Equal(t, shown["Tables"], fmt.Sprint(len(b.rows(b.proxy, "SHOW IMPORT JOB "+shown["Id"]+" TABLES"))))

	b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '"+made.Location+"'", 8173, "exist already", "`$_a`.`no_key`")
	b.exec("CREATE DATABASE `$_c`")
	b.exec("RESTORE TABLE `$_a`.no_key AS `$_c`.again FROM '" + made.Location + "' ANALYZE = REQUIRED")
	require.Equal(t, [][]string{{"again"}}, b.rows(b.direct, "SHOW TABLES FROM `$_c`"))
	require.ElementsMatch(t, b.rows(b.direct, "SELECT * FROM `$_a`.no_key"), b.rows(b.direct, "SELECT * FROM `$_c`.again"))

	items := map[string]string{}
	for _, row := range b.table(b.proxy, "EXPLAIN RESTORE DATABASE `$_a` AS `$_d` FROM '"+made.Location+"'") {
		require.NotEqual(t, "critical", row["Status"], row)
		items[row["Item"]] = row["Value"] + row["Detail"]
	}
	require.Equal(t, "NULLbr", items["source"])
	require.True(t, strings.HasPrefix(items["source_size"], theirs["Size"]), items["source_size"])

	for option, name := range map[string]string{
		"CSV_SEPARATOR ';'": "CSV_SEPARATOR", "SKIP_SCHEMA_FILES TRUE": "SKIP_SCHEMA_FILES", "ON_DUPLICATE = replace": "ON_DUPLICATE", "character_set = 'gbk'": "CHARACTER_SET", "max_errors = 5": "MAX_ERRORS",
		"STRICT_FORMAT TRUE CSV_NULL 'x'": "CSV_NULL, STRICT_FORMAT",
	} {
		b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_d` FROM '"+made.Location+"' "+option, 8173, name+" can't be used with an archive of BR")
	}
	require.Equal(t, []string{b.name + "_a", b.name + "_b", b.name + "_c"}, b.databases())
}

// TestRestoreIncrementalArchive: what has changed since a backup goes into what was restored of that.
func TestRestoreIncrementalArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE DATABASE `$_a`")
	b.exec("CREATE TABLE `$_a`.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, KEY (a))")
	b.exec("INSERT INTO `$_a`.t VALUES (1, 1), (2, 2), (3, 3)")
	full := brarchive.Backup(t, b.proxy, b.own("DATABASE `$_a`"), brarchive.Options{})
	b.exec("UPDATE `$_a`.t SET a = 7 WHERE id = 2")
	b.exec("DELETE FROM `$_a`.t WHERE id = 1")
	b.exec("INSERT INTO `$_a`.t (a) VALUES (5)")
	b.exec("CREATE TABLE `$_a`.u (id INT)")
	later := brarchive.Backup(t, b.proxy, b.own("DATABASE `$_a`"), brarchive.Options{LastBackupTS: full.BackupTS})
	moment := fmt.Sprintf("LAST_BACKUP = '%s'", oracle.GetTimeFromTS(full.BackupTS).UTC().Format("2006-01-02 15:04:05.000"))
	dated := brarchive.Backup(t, b.proxy, b.own("DATABASE `$_a`"), brarchive.Options{More: moment})
	restore := "RESTORE DATABASE `$_a` AS `$_b` FROM '" + later.Location + "'"
	b.exec("RESTORE DATABASE `$_a` AS `$_b` FROM '" + full.Location + "'")
	b.fails(b.proxy, restore, 8173, fmt.Sprintf("LAST_BACKUP = %d says", full.BackupTS))
	b.fails(b.proxy, restore+" LAST_BACKUP = 77", 8173, "and not that of LAST_BACKUP = 77")
	got := b.row(restore + fmt.Sprintf(" LAST_BACKUP = %d", full.BackupTS))
	require.Equal(t, fmt.Sprint(later.BackupTS), got["BackupTS"])
	require.Equal(t, b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY id"), b.rows(b.direct, "SELECT * FROM `$_b`.t ORDER BY id"))
	require.Empty(t, b.rows(b.direct, "SELECT * FROM `$_b`.u"))
	b.checked("$_b", []string{"t", "u"})
	b.exec("RESTORE DATABASE `$_a` AS `$_c` FROM '" + full.Location + "'")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_c` FROM '"+dated.Location+"' LAST_BACKUP = '2026-01-02 03:04'", 8173, "and not that of LAST_BACKUP")
	b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_c` FROM '"+dated.Location+"' LAST_BACKUP = 'monday'", 8164, "last_backup, 'monday' is no")
	b.exec("RESTORE DATABASE `$_a` AS `$_c` FROM '" + dated.Location + "' " + moment)
	require.Equal(t, b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY id"), b.rows(b.direct, "SELECT * FROM `$_c`.t ORDER BY id"))
	b.fails(b.proxy, restore+fmt.Sprintf(" LAST_BACKUP = %d", full.BackupTS), 8173, "is not what the archive of the timestamp")
}

// TestRestoreEncryptedArchive: the key is read from its file, by each Sluice that has the job, and is nowhere else. A wrong one, and one
// that can't be read, changes nothing.
func TestRestoreEncryptedArchive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tables := brarchive.Shapes(t, b.direct, b.own("$_a"))
	before := b.state("$_a", tables)
	made := brarchive.Backup(t, b.proxy, b.own("DATABASE `$_a`"), brarchive.Options{Method: "aes256-ctr", Checksum: true})
	restore := "RESTORE DATABASE `$_a` AS `$_b` FROM '" + made.Location + "'"
	with := func(method, file string) string {
		return fmt.Sprintf("%s ENCRYPTION_METHOD = '%s' ENCRYPTION_KEYFILE = '%s'", restore, method, file)
	}
	file := func(name, text string) string {
		b.file(name, text)
		return b.own("@dir/" + name)
	}
	wrong := strings.Repeat("5c", 32)
	b.fails(b.proxy, restore, 8160, "backupmeta", "encrypted and no key is given")
	b.fails(b.proxy, with("aes256-ctr", file("wrong", wrong)), 8160, "the key or the encryption method is wrong")
	b.fails(b.proxy, with("aes256-ctr", file("short", wrong[:32])), 1105, "64 hexadecimal digits")
	b.fails(b.proxy, with("aes128-ctr", file("short", wrong[:32])), 8160, "the key or the encryption method is wrong")
	b.fails(b.proxy, with("aes256-ctr", b.own("@dir/none")), 1105, "the file with the archive's key can't be read", "@dir/none")
	b.fails(b.proxy, with("aes256-ctr", "/dev/zero"), 1105, "/dev/zero is no regular file")
	require.NotContains(t, b.fails(b.proxy, with("aes256-ctr", wrong), 8164, "encryption_keyfile"), wrong)
	plain := brarchive.Backup(t, b.proxy, b.own("TABLE `$_a`.no_key"), brarchive.Options{})
	b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_b` FROM '"+plain.Location+"' ENCRYPTION_METHOD 'aes256-ctr' ENCRYPTION_KEYFILE '"+made.KeyFile+"'", 1105, "is not encrypted")
	require.Equal(t, []string{b.name + "_a"}, b.databases())
	require.Empty(t, b.rows(b.proxy, "SHOW RESTORES WHERE Targets = '`$_a` AS `$_b`'"), "what is refused never becomes a job")

	b.exec(with("AES256-CTR", made.KeyFile))
	b.checked("$_b", tables)
	require.Equal(t, before, b.state("$_b", tables))
	b.secret(made.Key)
	b.secret(wrong)

	user := "keyless_" + b.name
	b.exec("CREATE USER " + user)
	t.Cleanup(func() { _, _ = b.direct.Exec("DROP USER " + user) })
	b.exec("GRANT RESTORE_ADMIN ON *.* TO " + user)
	db, err := b.sluice.Open(user, "", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b.fails(db, "RESTORE DATABASE * FROM 's3://b/x' ENCRYPTION_METHOD 'aes256-ctr' ENCRYPTION_KEYFILE '"+made.KeyFile+"'", 1227, "FILE")
}

// TestEncryptedRestoreIsTakenOver: a Sluice that can't read the key leaves the job to others, and says why; with the key it goes on.
func TestEncryptedRestoreIsTakenOver(t *testing.T) {
	t.Parallel()
	heir := newBench(t)
	first := instance.ForTest(t, sluiceAt(playground.Shared(t)))
	b := benchOn(t, playground.Shared(t), first)
	_, err := b.direct.ExecContext(t.Context(), b.own("CREATE DATABASE `$_a`"))
	require.NoError(t, err)
	_, err = b.direct.ExecContext(t.Context(), b.own("CREATE TABLE `$_a`.t (a INT PRIMARY KEY AUTO_INCREMENT, b VARBINARY(1100))"))
	require.NoError(t, err)
	_, err = b.direct.ExecContext(t.Context(), b.own("INSERT INTO `$_a`.t (b) VALUES (RANDOM_BYTES(1000))"))
	require.NoError(t, err)
	for range 13 {
		_, err = b.direct.ExecContext(t.Context(), b.own("INSERT INTO `$_a`.t (b) SELECT RANDOM_BYTES(1000) FROM `$_a`.t"))
		require.NoError(t, err)
	}
	sums := "SELECT COUNT(*), SUM(CRC32(b)), SUM(a) FROM "
	want := b.rows(b.direct, sums+"`$_a`.t")
	made := brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{Method: "aes128-ctr"})
	id := b.row(fmt.Sprintf("RESTORE DATABASE `$_a` AS `$_b` FROM '%s' DETACHED RATE_LIMIT = 1 MB/SECOND ENCRYPTION_METHOD = 'aes128-ctr' ENCRYPTION_KEYFILE = '%s'",
		made.Location, made.KeyFile))["Job_ID"]
	b.started(id)
	first.Kill()
	require.NoError(t, os.Rename(made.KeyFile, made.KeyFile+"_away"))
	refused := func() bool {
		for line := range strings.Lines(heir.sluice.LogTail(wholeLog)) {
			if strings.Contains(line, "a job without an owner can't be run here") && strings.Contains(line, made.KeyFile) {
				return true
			}
		}
		return false
	}
	require.Eventually(t, refused, time.Minute, 50*time.Millisecond, "the heir says why it doesn't take the job")
	require.Equal(t, "pending", heir.row("SHOW IMPORT JOB " + id)["Status"])
	require.NoError(t, os.Rename(made.KeyFile+"_away", made.KeyFile))
	heir.exec("ALTER IMPORT JOB " + id + " SET max_write_speed = '0'")
	heir.becomes(id, "finished")
	require.Equal(t, want, b.rows(b.direct, sums+"`$_b`.t"))
	b.checked("$_b", []string{"t"})
	heir.secret(made.Key)
}
