package sqlext

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

func TestParseRestoreTargets(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]Restore{
		"RESTORE DATABASE * FROM '/d'":                           {All: true},
		"restore schema * from '/d'":                             {All: true},
		"RESTORE DATABASE a, `b c` FROM '/d'":                    {Databases: []RestoreDatabase{{Name: "a"}, {Name: "b c"}}},
		"RESTORE DATABASE a AS b, b AS `a`,c FROM '/d'":          {Databases: []RestoreDatabase{{Name: "a", As: "b"}, {Name: "b", As: "a"}, {Name: "c"}}},
		"RESTORE TABLE t, a.t FROM '/d'":                         {Tables: []RestoreTable{{Table: "t"}, {DB: "a", Table: "t"}}},
		"RESTORE TABLE a.t as b.u FROM '/d'":                     {Tables: []RestoreTable{{DB: "a", Table: "t", AsDB: "b", AsTable: "u"}}},
		"/* x */ RESTORE TABLE t\n-- y\nAs `u``v`, w FROM '/d';": {Tables: []RestoreTable{{Table: "t", AsTable: "u`v"}, {Table: "w"}}},
	} {
		st := mustParse(t, sql).(*Restore)
		require.Equal(t, want.All, st.All, sql)
		require.Equal(t, want.Databases, st.Databases, sql)
		require.Equal(t, want.Tables, st.Tables, sql)
		require.Equal(t, Location{Raw: "/d"}, st.Location, sql)
		require.Equal(t, defaultRestoreOptionsWith(nil), st.Options, sql)
		require.False(t, st.DryRun(), sql)
	}
	st, err := Parse(`RESTORE TABLE "a"."t" AS "u" FROM '/d' ENCRYPTION_METHOD 'plaintext'`, mysql.ModeANSIQuotes)
	require.NoError(t, err)
	require.Equal(t, []RestoreTable{{DB: "a", Table: "t", AsTable: "u"}}, st.(*Restore).Tables)
}

// defaultRestoreOptionsWith are the options of a statement that gives those in specified.
func defaultRestoreOptionsWith(specified map[string]any) RestoreOptions {
	o := defaultRestoreOptions()
	o.Job = defaultOptions()
	for name, value := range specified {
		o.Job.Specified[name] = value
	}
	return o
}

// TestParseRestoreOptions gives each option of the parser's grammar, and each of Sluice's own.
func TestParseRestoreOptions(t *testing.T) {
	t.Parallel()
	seven := int64(7)
	for option, tc := range map[string]struct {
		value any // in Specified
		set   func(o *RestoreOptions)
	}{
		"RATE_LIMIT = 20 MB/SECOND":          {int64(20 << 20), func(o *RestoreOptions) { o.Job.MaxWriteSpeed = 20 << 20 }},
		"CONCURRENCY 4":                      {int64(4), func(o *RestoreOptions) { o.Job.Thread = 4 }},
		"CHECKSUM FALSE":                     {"off", func(o *RestoreOptions) { o.Job.ChecksumTable = ChecksumOff }},
		"CHECKSUM = OPTIONAL":                {"optional", func(o *RestoreOptions) { o.Job.ChecksumTable = ChecksumOptional }},
		"CHECKSUM_CONCURRENCY=2":             {int64(2), func(o *RestoreOptions) { o.ChecksumConcurrency = 2 }},
		"SEND_CREDENTIALS_TO_TIKV = 0":       {int64(0), func(o *RestoreOptions) { o.SendCredentials = false }},
		"ONLINE TRUE":                        {int64(1), func(o *RestoreOptions) { o.Online = true }},
		"CHECKPOINT = FALSE":                 {int64(0), func(o *RestoreOptions) { o.Checkpoint = false }},
		"WAIT_TIFLASH_READY = 1":             {int64(1), func(o *RestoreOptions) { o.WaitTiFlashReady = true }},
		"WITH_SYS_TABLE = FALSE":             {int64(0), func(o *RestoreOptions) { o.WithSysTable = false }},
		"LOAD_STATS = FALSE":                 {int64(0), func(o *RestoreOptions) { o.LoadStats = false }},
		"LAST_BACKUP = 400036290571534337":   {int64(400036290571534337), func(o *RestoreOptions) { o.LastBackup = 400036290571534337 }},
		"LAST_BACKUP '2026-01-02 03:04:05'":  {"2026-01-02 03:04:05", func(o *RestoreOptions) { o.LastBackupTime = "2026-01-02 03:04:05" }},
		"ENCRYPTION_METHOD = 'Plaintext'":    {"Plaintext", func(*RestoreOptions) {}},
		"ANALYZE REQUIRED":                   {"required", func(o *RestoreOptions) { o.Analyze = LevelRequired }},
		"ANALYZE = OFF":                      {"off", func(o *RestoreOptions) { o.Analyze = LevelOff }},
		"BACKEND = 'TiDB'":                   {"tidb", func(o *RestoreOptions) { o.Backend = BackendTiDB }},
		"BACKEND local":                      {"local", func(o *RestoreOptions) { o.Backend = BackendLocal }},
		"ON DUPLICATE = replace":             {"replace", func(o *RestoreOptions) { o.Job.OnDuplicate = DuplicateReplace }},
		"ON_DUPLICATE 'ignore'":              {"ignore", func(o *RestoreOptions) { o.Job.OnDuplicate = DuplicateIgnore }},
		"SKIP_SCHEMA_FILES TRUE":             {int64(1), func(o *RestoreOptions) { o.SkipSchemaFiles = true }},
		"STRICT_FORMAT = TRUE":               {int64(1), func(o *RestoreOptions) { o.StrictFormat = true }},
		"TIKV_IMPORTER = '10.0.1.1:8287'":    {"10.0.1.1:8287", func(o *RestoreOptions) { o.TiKVImporter = "10.0.1.1:8287" }},
		"RESUME = 7":                         {int64(7), func(o *RestoreOptions) { o.Resume = &seven }},
		"CSV_HEADER = FIELDS":                {"columns", func(*RestoreOptions) {}},
		"CSV_HEADER 2":                       {int64(2), func(o *RestoreOptions) { o.CSVHeader = 2 }},
		"CSV_SEPARATOR = '|+|'":              {"|+|", func(o *RestoreOptions) { o.CSVSeparator = "|+|" }},
		"CSV_DELIMITER ''":                   {"", func(o *RestoreOptions) { o.CSVDelimiter = "" }},
		"CSV_NULL = 'NIL'":                   {"NIL", func(o *RestoreOptions) { o.CSVNull = "NIL" }},
		"CSV_NOT_NULL = TRUE":                {int64(1), func(o *RestoreOptions) { o.CSVNotNull = true }},
		"CSV_BACKSLASH_ESCAPE = FALSE":       {int64(0), func(o *RestoreOptions) { o.CSVBackslashEscape = false }},
		"COMPACT":                            {int64(1), func(o *RestoreOptions) { o.Compact = true }},
		"compact = true":                     {int64(1), func(o *RestoreOptions) { o.Compact = true }},
		"COMPACT 0":                          {int64(0), func(*RestoreOptions) {}},
		"CSV_TRIM_LAST_SEPARATORS = 1":       {int64(1), func(o *RestoreOptions) { o.CSVTrimLastSeparators = true }},
		"DETACHED":                           {nil, func(o *RestoreOptions) { o.Job.Detached = true }},
		"detached = true":                    {nil, func(o *RestoreOptions) { o.Job.Detached = true }},
		"DRY RUN":                            {nil, func(o *RestoreOptions) { o.Job.DryRun = true }},
		"DRY_RUN 1":                          {nil, func(o *RestoreOptions) { o.Job.DryRun = true }},
		"keep_partial":                       {nil, func(o *RestoreOptions) { o.Job.KeepPartial = true }},
		"character_set = 'GBK'":              {"GBK", func(o *RestoreOptions) { o.Job.CharacterSet = "gbk" }},
		"disk_quota='1GiB'":                  {"1GiB", func(o *RestoreOptions) { o.Job.DiskQuota = 1 << 30 }},
		"group_key 'night'":                  {"night", func(o *RestoreOptions) { o.Job.GroupKey = "night" }},
		"job_priority = 'high'":              {"high", func(o *RestoreOptions) { o.Job.Priority = PriorityHigh }},
		"max_errors = 5":                     {int64(5), func(o *RestoreOptions) { o.Job.MaxErrors = 5 }},
		"skip_prechecks = 'empty_regions,x'": {"empty_regions,x", func(o *RestoreOptions) { o.Job.SkipPrechecks = []string{"empty_regions", "x"} }},
		"FILTER = 'a.*, !a.t'":               {"a.*, !a.t", func(o *RestoreOptions) { o.Filters = []string{"a.*", "!a.t"} }},
		`FILES = "{pattern = '^(\\w+)\\.txt$', schema = 'a', table = '$1', type = 'csv'}"`: {`{pattern = '^(\w+)\.txt$', schema = 'a', table = '$1', type = 'csv'}`,
			func(o *RestoreOptions) {
				o.Files = []FileRule{{Pattern: `^(\w+)\.txt$`, Schema: "a", Table: "$1", Type: "csv"}}
			}},
		"ROUTE 'a*.t? -> b.t'": {"a*.t? -> b.t", func(o *RestoreOptions) { o.Routes = []Route{{"a*", "t?", "b", "t"}} }},
	} {
		st := mustParse(t, "RESTORE DATABASE * FROM '/d' "+option).(*Restore)
		name := strings.ToLower(strings.ReplaceAll(strings.Trim(option, " "), "ON DUPLICATE", "ON_DUPLICATE"))
		name = strings.FieldsFunc(strings.ReplaceAll(name, "dry run", "dry_run"), func(r rune) bool { return r == ' ' || r == '=' })[0]
		want := defaultRestoreOptionsWith(map[string]any{name: tc.value})
		tc.set(&want)
		require.Equal(t, want, st.Options, option)

		// The statement's own text means the same.
		again := mustParse(t, st.Redacted()).(*Restore)
		require.Equal(t, st.Redacted(), again.Redacted(), option)
		for name, value := range st.Options.Job.Specified { // as written: case may differ
			if _, ok := value.(string); !ok {
				require.Equal(t, value, again.Options.Job.Specified[name], option)
			}
		}
		st.Options.Job.Specified, again.Options.Job.Specified = nil, nil
		require.Equal(t, st.Options, again.Options, option)
	}
	off := mustParse(t, "RESTORE DATABASE * FROM '/d' DETACHED = FALSE DRY RUN 0 CONCURRENCY 2").(*Restore)
	require.False(t, off.Options.Job.Detached)
	require.False(t, off.DryRun())
	require.Equal(t, map[string]any{"concurrency": int64(2)}, off.Options.Job.Specified)

	o := mustParse(t, "RESTORE DATABASE * FROM '/d' ENCRYPTION_METHOD 'aes256-CTR' DETACHED ENCRYPTION_KEYFILE '/k'").(*Restore).Options
	require.Equal(t, EncryptionAES256, o.Encryption)
	require.Equal(t, "/k", o.EncryptionKeyFile)
	require.True(t, o.Job.Detached)
}

func TestRestoreRedacts(t *testing.T) {
	t.Parallel()
	st := mustParse(t, "RESTORE TABLE a AS b FROM 's3://u:SSSS@b/x?access-key=SSSS&secret-access-key=SSSS&region=r' DETACHED "+
		"ENCRYPTION_METHOD 'aes128-ctr' ENCRYPTION_KEYFILE '/k/x' CONCURRENCY 4").(*Restore)
	require.Equal(t, "RESTORE TABLE `a` AS `b` FROM 's3://xxxxxx@b/x?access-key=xxxxxx&secret-access-key=xxxxxx&region=r' ENCRYPTION_METHOD = 'aes128-ctr' "+
		"ENCRYPTION_KEYFILE = '/k/x' CONCURRENCY = 4 DETACHED", st.Redacted())
	for _, value := range st.Options.Job.Specified {
		require.NotContains(t, fmt.Sprint(value), "SSSS")
	}
	for _, location := range []string{"azure://c/p?account-key=SSSS&sas-token=SSSS", "gcs://b/p?credentials-file=SSSS"} {
		st := mustParse(t, "RESTORE DATABASE * FROM '"+location+"'")
		require.NotContains(t, st.Redacted(), "SSSS")
	}
	_, err := Parse("RESTORE DATABASE * FROM 's3:///p?secret-access-key=SSSS'", 0)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SSSS")
}

func TestExplainRestore(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"EXPLAIN ", "DESC ", "describe FORMAT = 'brief' ", "EXPLAIN FORMAT=row\n"} {
		for _, tail := range []string{"RESTORE DATABASE * FROM '/d'", "RESTORE TABLE a.b AS c FROM '/d' BACKEND local DETACHED"} {
			st := mustParse(t, head+tail).(*Restore)
			require.True(t, st.DryRun())
			plain := mustParse(t, tail).(*Restore)
			require.Equal(t, "EXPLAIN "+plain.Redacted(), st.Redacted())
			st.Explain = false
			require.Equal(t, plain, st)
		}
	}
}

func TestShowRestores(t *testing.T) {
	t.Parallel()
	require.Equal(t, &ShowRestores{}, mustParse(t, "show restores"))
	require.Equal(t, &ShowRestores{Where: "`Id` LIKE _UTF8MB4'1%'"}, mustParse(t, "SHOW RESTORES LIKE '1%'"))
	st := mustParse(t, "SHOW RESTORES WHERE State = 'running' AND Progress < 50")
	require.Equal(t, "SHOW RESTORES WHERE `State`=_UTF8MB4'running' AND `Progress`<50", st.Redacted())
	_, err := Parse(`SHOW RESTORES LIKE 'a\'`, mysql.ModeNoBackslashEscapes)
	require.ErrorContains(t, err, "SHOW RESTORES")
}

func TestRestoreErrors(t *testing.T) {
	t.Parallel()
	const all = "RESTORE DATABASE * FROM '/d' "
	for _, tc := range []struct {
		sql  string
		code uint16
		text string
	}{
		{all + "SNAPSHOT = 1", 8166, "Unsupported option snapshot for RESTORE"},
		{all + "COMPRESSION_LEVEL 3", 8166, "Unsupported option compression_level for RESTORE"},
		{all + "COMPRESSION_TYPE 'lz4'", 8166, "Unsupported option compression_type for RESTORE"},
		{all + "IGNORE_STATS TRUE", 8166, "Unsupported option ignore_stats for RESTORE"},
		{all + "FULL_BACKUP_STORAGE 's3://b?secret-access-key=SSSS'", 8166, "Unsupported option full_backup_storage for RESTORE"},
		{all + "RESTORED_TS '1'", 8166, "Unsupported option restored_ts for RESTORE"},
		{all + "START_TS '1'", 8166, "Unsupported option start_ts for RESTORE"},
		{all + "UNTIL_TS '1'", 8166, "Unsupported option until_ts for RESTORE"},
		{all + "GC_TTL '1'", 8166, "Unsupported option gc_ttl for RESTORE"},
		{all + "CONCURRENCY 0", 8164, "Invalid option value for concurrency"},
		{all + "CONCURRENCY 9223372036854775808", 8164, "Invalid option value for concurrency"},
		{all + "RATE_LIMIT 0 MB/SECOND", 8164, "Invalid option value for rate_limit"},
		{all + "BACKEND importer", 8164, "Invalid option value for backend"},
		{all + "ON_DUPLICATE some", 8164, "Invalid option value for on_duplicate"},
		{all + "ENCRYPTION_METHOD 'rot13'", 8164, "Invalid option value for encryption_method"},
		{all + "ENCRYPTION_METHOD 'aes128-ctr'", 8164, "encryption_method, which needs encryption_keyfile"},
		{all + "ENCRYPTION_METHOD 'aes128-ctr' ENCRYPTION_KEYFILE 'SSSS'", 8164, "Invalid option value for encryption_keyfile"},
		{all + "ENCRYPTION_METHOD 'aes128-ctr' ENCRYPTION_KEYFILE 's3://k/x?session-token=SSSS'", 8164, "Invalid option value for encryption_keyfile"},
		{all + "ENCRYPTION_KEYFILE '/k'", 8164, "encryption_keyfile, which needs another encryption_method"},
		{all + "CSV_SEPARATOR ''", 8164, "Invalid option value for csv_separator"},
		{all + "CSV_DELIMITER '\"\"'", 8164, "Invalid option value for csv_delimiter"},
		{all + "CSV_DELIMITER ','", 8164, "Invalid option value for csv_delimiter"},
		{all + "LAST_BACKUP 0", 8164, "Invalid option value for last_backup"},
		{all + "CHECKSUM 1 CHECKSUM 0", 8165, "Option checksum specified more than once"},
		{all + "DETACHED DETACHED", 8165, "Option detached specified more than once"},
		{all + "FILTER 'a.*' FILTER 'b.*'", 8165, "Option filter specified more than once"},
		{all + "max_errors = -1", 8164, "Invalid option value for max_errors"},
		{all + "FILTER 'a'", 8164, "Invalid option value for filter"},
		{all + "FILTER ''", 8164, "Invalid option value for filter"},
		{all + "FILTER '@/etc/passwd'", 8164, "Invalid option value for filter"},
		{all + "FILTER 'a.*,#x'", 8164, "Invalid option value for filter"},
		{all + "FILES 'a'", 8164, "files, which is no TOML"},
		{all + "FILES \"{pattern = '(', schema = 'a', table = 'b', type = 'csv'}\"", 8164, "no regular expression"},
		{all + "FILES \"{pattern = 'x', schema = 'a', table = 'b', type = 'cvs'}\"", 8164, "the type 'cvs'"},
		{all + "FILES \"{pattern = 'x', schema = 'a', table = 'b', typ = 'csv'}\"", 8164, "the unknown key files.typ"},
		{all + "FILES \"{pattern = 'x', path = 'x', schema = 'a', table = 'b', type = 'csv'}\"", 8164, "a pattern nor a path"},
		{all + "FILES \"{pattern = 'x', table = 'b', type = 'csv'}\"", 8164, "no schema"},
		{all + "FILES \"{pattern = 'x', schema = 'b', type = 'csv'}\"", 8164, "no table"},
		{all + "FILES '[mydumper]'", 8164, "no rules"},
		{all + "ROUTE 'a.b'", 8164, "Invalid option value for route"},
		{all + "ROUTE 'a -> b.c'", 8164, "Invalid option value for route"},
		{all + "ROUTE 'a -> b c'", 8164, "Invalid option value for route"},
		{all + "ROUTE 'a -> b*'", 8164, "Invalid option value for route"},
		{all + "ROUTE 'a*b.t -> b'", 8164, "Invalid option value for route"},
		{all + "ROUTE 'a.t -> b, a.t -> c'", 8164, "Invalid option value for route"},
		{all + "FILTER 5", 1064, `near "5"`},
		{all + "FILTER", 1064, `near ""`},
		{all + "DETACHED = CONCURRENCY 5", 1064, `near "CONCURRENCY 5"`},
		{all + "DETACHED FOO", 1064, "near \"FOO\""},
		{"RESTORE DATABASE a AS FROM '/d'", 1064, "near \"'/d'"},
		{"RESTORE DATABASE a AS , b FROM '/d'", 1064, "line 1 column 23 near \", b FROM '/d'\""},
		{"RESTORE DATABASE a AS b FROM x", 1064, "line 1 column 30 near \"x\""},
		{"RESTORE DATABASE a AS b.c FROM '/d'", 1064, "line 1 column 24 near \".c FROM '/d'\""},
		{"RESTORE DATABASE a AS b\nTO '/d'", 1064, "line 2 column 3"},
		{"EXPLAIN ANALYZE RESTORE DATABASE * FROM '/d'", 1235, "EXPLAIN ANALYZE RESTORE is not supported yet"},
		{"EXPLAIN FORMAT='json' RESTORE DATABASE * FROM '/d'", 1235, "EXPLAIN FORMAT = 'json' RESTORE is not supported yet"},
		{"RESTORE DATABASE a, A FROM '/d'", 1105, "two databases are called `A`"},
		{"RESTORE DATABASE a AS b, b FROM '/d'", 1105, "two databases are called `b`"},
		{"RESTORE TABLE a.t AS u, A.U FROM '/d'", 1066, "Not unique table/alias: 'U'"},
		{"RESTORE TABLE t, t FROM '/d'", 1066, "Not unique table/alias: 't'"},
		{"RESTORE DATABASE * FROM ''", 1105, "the location of RESTORE must not be empty"},
		{"RESTORE DATABASE * FROM 'd'", 8158, "file location should be absolute path"},
		{"RESTORE DATABASE * FROM 'local://d'", 8158, "file location should be absolute path"},
		{"RESTORE DATABASE * FROM 'noop:///d'", 8158, "storage noop holds nothing"},
		{"RESTORE DATABASE * FROM 'http://h/d'", 8158, "storage http not support yet"},
		{"RESTORE DATABASE * FROM 's3:///d'", 8158, "please specify the bucket"},
		{all + "; SELECT 1", 1105, "RESTORE must be sent alone"},
		{all + "DETACHED; SELECT 1", 1105, "RESTORE must be sent alone"},
		{"RESTORE TABLE `t\xff` FROM '/d'", 1105, "not valid UTF-8"},
		{"RESTORE TABLE `t\xff` AS u FROM '/d'", 1105, "not valid UTF-8"},
	} {
		st, err := Parse(tc.sql, mysql.ModeNone)
		require.Nil(t, st, tc.sql)
		var e *Error
		require.ErrorAs(t, err, &e, tc.sql)
		require.Equal(t, tc.code, e.Code, "%s: %s", tc.sql, e.Message)
		require.Contains(t, e.Message, tc.text, tc.sql)
		require.NotContains(t, e.Message, "SSSS", tc.sql)
		require.True(t, MaybeOurs([]byte(tc.sql)), tc.sql)
	}
}

func TestFiltersAndRoutes(t *testing.T) {
	t.Parallel()
	filters, err := parseFilters("`a,b`.\"c,d\" , !/x,y/./z\\/,/, a[,].b")
	require.Nil(t, err)
	require.Equal(t, []string{"`a,b`.\"c,d\"", "!/x,y/./z\\/,/", "a[,].b"}, filters)
	filters, err = parseFilters("!db.tmp_*")
	require.Nil(t, err)
	require.Equal(t, []string{"*.*", "!db.tmp_*"}, filters)
	routes, err := parseRoutes("shard_[0-9].user-? -> db.`us-er,1` ,\n old -> `new`, `a.b`.* -> c")
	require.Nil(t, err)
	require.Equal(t, []Route{{"shard_[0-9]", "user-?", "db", "us-er,1"}, {"old", "", "new", ""}, {"a.b", "*", "c", ""}}, routes)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	rules, withDefault, err := parseFiles("[mydumper]\ndefault-file-rules = true\n[[mydumper.files]]\npath = 'x/y'\ntype = 'ignore'\n[[mydumper.files]]\n" +
		"pattern = '(?i)^(.*)\\.(sql|csv)$'\nschema = 'a'\ntable = '$1'\ntype = '$2'\nkey = '1'\ncompression = 'gz'\n")
	require.Nil(t, err)
	require.True(t, withDefault)
	require.Equal(t, []FileRule{{Path: "x/y", Type: "ignore"}, {Pattern: `(?i)^(.*)\.(sql|csv)$`, Schema: "a", Table: "$1", Type: "$2", Key: "1", Compression: "gz"}}, rules)
}
