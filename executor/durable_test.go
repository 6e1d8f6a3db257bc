package executor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/sqlext"
)

// fill gives every field, at any depth, a value that is not its zero, and each
// another one. A kind that it doesn't know fails the test: a new field can't be
// forgotten.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case *time.Location:
		v.Set(reflect.ValueOf(time.FixedZone("-3:30", -(3*60+30)*60)))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_123).UTC()))
		return
	case sqlext.Assignment:
		text := fmt.Sprintf("CONCAT(@`a`, _UTF8MB4'x''\\\\%d')", *n)
		expr, err := sqlext.ParseExpr(text)
		require.NoError(t, err)
		v.Set(reflect.ValueOf(sqlext.Assignment{Column: fmt.Sprint("c", *n), Expr: expr, Text: text}))
		return
	case map[string]any: // options as given: texts, whole numbers, and flags
		v.Set(reflect.ValueOf(map[string]any{"text": "é'\xf0\x9f\x98\x80", "number": int64(1<<63 - 1), "flag": nil}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			require.True(t, v.Type().Field(i).IsExported(), "%s.%s", v.Type(), v.Type().Field(i).Name)
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprintf("té\"\\x\u2028 <%d>", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<62 + int64(*n))
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(*n))
	default:
		require.Fail(t, "unknown kind", "%s", v.Type())
	}
}

func TestDurableSpecRoundTrip(t *testing.T) {
	t.Parallel()
	var spec Spec
	n := 0
	fill(t, reflect.ValueOf(&spec).Elem(), &n)
	for i := range reflect.TypeOf(spec).NumField() {
		require.False(t, reflect.ValueOf(spec).Field(i).IsZero(), reflect.TypeOf(spec).Field(i).Name)
	}
	spec.Restore.Options.Job = sqlext.Options{} // they are Spec.Options
	text, err := encodeSpec(&spec)
	require.NoError(t, err)
	again, err := decodeSpec(text)
	require.NoError(t, err)
	// An expression is as good as its text.
	for i := range again.Assignments {
		_, ok := again.Assignments[i].Expr.(*ast.FuncCallExpr)
		require.True(t, ok)
		again.Assignments[i].Expr = spec.Assignments[i].Expr
	}
	require.Equal(t, spec.zoneText(), again.zoneText())
	again.TimeZone = spec.TimeZone
	require.Equal(t, &spec, again)
	second, err := encodeSpec(again)
	require.NoError(t, err)
	require.Equal(t, text, second)
}

// zoneText is what a time zone does.
func (s *Spec) zoneText() string {
	return s.TimeZone.String() + time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(s.TimeZone).Format(time.RFC3339)
}

// TestDurableSpecOfARestore: a Sluice that knows no restores refuses its row, and one without what is to be restored is refused.
func TestDurableSpecOfARestore(t *testing.T) {
	t.Parallel()
	st, err := sqlext.Parse("RESTORE TABLE a.t AS b.u FROM 's3://b/x?secret-access-key=SSSS' ROUTE 'x -> y' LAST_BACKUP 18446744073709551615 CONCURRENCY 4", mysql.ModeNone)
	require.NoError(t, err)
	restore := st.(*sqlext.Restore)
	what := &RestoreSpec{Tables: restore.Tables, Options: restore.Options}
	what.Options.Job = sqlext.Options{}
	spec := Spec{Location: restore.Location.Raw, Options: restore.Options.Job, TimeZone: time.UTC, Restore: what}
	durable, err := settle(&spec, Keeper{Instance: "here"})
	require.NoError(t, err)
	require.NotContains(t, durable, "SSSS")
	require.Contains(t, durable, `"Version":2`)
	again, err := decodeSpec(durable)
	require.NoError(t, err)
	require.Equal(t, what, again.Restore)
	require.EqualValues(t, 4, again.Options.Thread)
	spec.Restore.Options.Files = []sqlext.FileRule{{Path: "a", Type: "ignore"}}
	durable, err = encodeSpec(&spec)
	require.NoError(t, err)
	require.Contains(t, durable, `"Version":4`, "an older Sluice would take the files for what their names say")
	again, err = decodeSpec(durable)
	require.NoError(t, err)
	require.Equal(t, spec.Restore, again.Restore)
	spec.Options.Specified = map[string]any{"with_sys_table": int64(1)}
	spec.Restore.Options.WithSysTable = true
	durable, err = encodeSpec(&spec)
	require.NoError(t, err)
	require.Contains(t, durable, `"Version":5`, "an older Sluice would leave the system tables out")
	again, err = decodeSpec(durable)
	require.NoError(t, err)
	require.True(t, wantsSystemTables(&again.Restore.Options, &again.Options))
	_, err = decodeSpec(`{"Version":2}`)
	require.ErrorIs(t, err, errNoTask)
	_, err = decodeSpec(`{"Version":1,"Restore":{}}`)
	require.ErrorIs(t, err, errNoTask)
}

func TestDurableSpecOfStatements(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"IMPORT INTO t FROM '/d/a.csv'",
		"IMPORT INTO t (a, @b) SET c = concat(@b, 'it''s \\\\') , d = if(@B > 1, now(), NULL) FROM '/d/a.csv' WITH thread=3, detached, skip_rows=1",
		"IMPORT INTO t FROM '/d/a.csv' WITH max_write_speed='1MiB', max_latency='50ms', cloud_storage_uri=''",
		"IMPORT INTO t FROM '/d/a.csv' WITH max_latency='0'",
	} {
		st, err := sqlext.Parse(sql, mysql.ModeNone)
		require.NoError(t, err)
		into := st.(*sqlext.ImportInto)
		zone, err := parseTimeZone("Europe/Oslo", "")
		require.NoError(t, err)
		spec := Spec{Table: "t", Location: into.Location.Raw, Fields: into.Fields, Assignments: into.Assignments, Options: into.Options, TimeZone: zone}
		durable, err := settle(&spec, Keeper{})
		require.NoError(t, err)
		require.NotEmpty(t, durable)
		again, err := decodeSpec(durable)
		require.NoError(t, err)
		require.Equal(t, again, &spec, "who runs a job makes no difference")
		require.Equal(t, into.Options, spec.Options)
		require.Equal(t, "2026-07-01T14:00:00+02:00", time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(again.TimeZone).Format(time.RFC3339))
		for i, a := range spec.Assignments {
			require.Equal(t, into.Assignments[i].Text, a.Text)
			require.Equal(t, into.Assignments[i].Column, a.Column)
		}
	}
}

// TestDurableSpecHoldsNoCredentials: the row says who has them, and nothing else of them.
func TestDurableSpecHoldsNoCredentials(t *testing.T) {
	t.Parallel()
	const uri = "s3://b/x?access-key=AAAA&region=r&secret_access_key=SS%2FSS&session-token=SSSS&sse-kms-key-id=SSSS"
	sorting := uri
	spec := Spec{Location: uri, Options: sqlext.Options{CloudStorageURI: &sorting}}
	keeper := Keeper{Instance: "here:1", Process: "p"}
	text, err := settle(&spec, keeper)
	require.NoError(t, err)
	require.Equal(t, uri, spec.Location, "the job runs with them")
	for _, secret := range []string{"AAAA", "SSSS", "SS%2FSS", "SS/SS"} {
		require.NotContains(t, text, secret)
	}
	again, err := decodeSpec(text)
	require.NoError(t, err)
	require.Equal(t, "s3://b/x?region=r", again.Location)
	require.Equal(t, keeper, again.Keeper)
	second, err := encodeSpec(&spec)
	require.NoError(t, err)
	require.Equal(t, text, second)

	open := Spec{Location: "s3://b/x?region=r"}
	_, err = settle(&open, keeper)
	require.NoError(t, err)
	require.Zero(t, open.Keeper, "any Sluice may have credentials for that")
}

func TestLocationsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLocations()
	for id := range int64(maxLocations + 5) {
		l.keep(id, "s3://b/x")
	}
	_, ok := l.find(4)
	require.False(t, ok)
	_, ok = l.find(5)
	require.True(t, ok)
	l.forget(5)
	_, ok = l.find(5)
	require.False(t, ok)
}

func TestDurableSpecRefused(t *testing.T) {
	t.Parallel()
	_, err := decodeSpec("")
	require.ErrorIs(t, err, errNoTask)
	_, err = decodeSpec(`{"Version":99}`)
	require.ErrorIs(t, err, errNoTask)
	for _, text := range []string{"{", `{"Version":1,"Assignments":[{"Column":"a","Text":"1, 2"}]}`, `{"Version":1,"TimeZone":"Mars/Base"}`,
		`{"Version":1,"Options":{"Specified":{"thread":1.5}}}`} {
		_, err := decodeSpec(text)
		require.Error(t, err, text)
	}
}

func FuzzDecodeSpec(f *testing.F) {
	f.Add(`{"Version":1,"DB":"d","TimeZone":"+03:00","Assignments":[{"Column":"a","Text":"1"}]}`)
	f.Add(`{"Version":1,"Options":{"Specified":{"thread":8,"detached":null}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := decodeSpec(text)
		if err != nil {
			return
		}
		again, err := encodeSpec(spec)
		require.NoError(t, err)
		require.True(t, json.Valid([]byte(again)))
	})
}
