package schema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/dump/schema"
)

// TestLosses: a column of a table that exists has to have room for all values of the source's; what a server would round or cut is told.
func TestLosses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, have, set string
		keeps           bool
	}{
		{"INT", "int(11)", "", true}, {"INT", "bigint(20)", "", true}, {"INT", "smallint(6)", "", false}, {"INT", "int(10) unsigned", "", false},
		{"INT UNSIGNED", "int(11)", "", false}, {"INT UNSIGNED", "bigint(20)", "", true}, {"INT UNSIGNED ZEROFILL", "int(10) unsigned", "", true},
		{"INT", "decimal(10,0)", "", true}, {"INT", "decimal(11,2)", "", false}, {"BIGINT", "double", "", false}, {"INT", "double", "", true}, {"INT", "float", "", false},
		{"BOOLEAN", "tinyint(1)", "", true}, {"BIGINT", "varchar(20)", "utf8mb4", false},
		{"DECIMAL(10,3)", "decimal(10,3)", "", true}, {"DECIMAL(10,3)", "decimal(12,4)", "", true}, {"DECIMAL(10,3)", "decimal(12,2)", "", false},
		{"DECIMAL(10,3)", "decimal(10,4)", "", false}, {"DECIMAL(10,3)", "double", "", false}, {"DECIMAL(9,0)", "decimal(9,0) unsigned", "", false},
		{"FLOAT", "float", "", true}, {"FLOAT", "double", "", true}, {"DOUBLE", "float", "", false}, {"DOUBLE", "double(10,2)", "", false}, {"DOUBLE(9,1)", "double(10,2)", "", true},
		{"DATE", "datetime", "", true}, {"DATETIME", "date", "", false}, {"DATETIME(3)", "datetime(2)", "", false}, {"DATETIME(3)", "datetime(6)", "", true},
		{"DATETIME", "timestamp", "", false}, {"TIMESTAMP", "datetime", "", false}, {"TIME(1)", "time", "", false}, {"YEAR", "year(4)", "", true}, {"YEAR", "tinyint(4)", "", false},
		{"CHAR(5)", "char(5)", "utf8mb4", true}, {"CHAR(5)", "varchar(5)", "utf8mb4", true}, {"VARCHAR(5)", "char(5)", "utf8mb4", false},
		{"VARCHAR(5)", "varchar(4)", "utf8mb4", false}, {"VARCHAR(5)", "varchar(6)", "utf8mb4", true}, {"VARCHAR(64)", "tinytext", "utf8mb4", false},
		{"VARCHAR(63)", "tinytext", "utf8mb4", true}, {"VARCHAR(255)", "tinytext", "latin1", false}, {"TEXT", "mediumtext", "utf8mb4", true}, {"TEXT", "tinytext", "utf8mb4", false},
		{"TINYTEXT", "varchar(255)", "utf8mb4", true}, {"TEXT", "varchar(255)", "utf8mb4", false}, {"TEXT", "blob", "", false}, {"VARCHAR(5)", "varbinary(20)", "", false},
		{"VARCHAR(255) CHARACTER SET latin1", "tinytext", "latin1", true}, {"VARCHAR(5)", "varchar(5)", "utf8mb3", false}, {"VARCHAR(5) COLLATE latin1_bin", "varchar(5)", "utf8mb3", true},
		{"VARCHAR(5) CHARACTER SET utf8", "varchar(5)", "utf8mb3", true}, {"VARCHAR(5) CHARACTER SET ascii", "varchar(5)", "latin1", true}, {"CHAR(5) CHARACTER SET latin1", "char(5)", "ascii", false},
		{"BINARY(3)", "binary(3)", "", true}, {"BINARY(3)", "binary(4)", "", false}, {"BINARY(3)", "varbinary(3)", "", true}, {"VARBINARY(3)", "binary(3)", "", false},
		{"VARBINARY(300)", "blob", "", true}, {"BLOB", "longblob", "", true}, {"BLOB", "longtext", "utf8mb4", false},
		{"ENUM('a','b')", "enum('b','c','a')", "utf8mb4", true}, {"ENUM('a','b')", "enum('a','B')", "utf8mb4", false}, {"ENUM('it''s')", "enum('it''s')", "utf8mb4", true},
		{"ENUM('a','bcd')", "varchar(3)", "utf8mb4", true}, {"SET('a','bcd')", "varchar(4)", "utf8mb4", false}, {"SET('a','b')", "set('a','b')", "utf8mb4", true},
		{"BIT(8)", "bit(8)", "", true}, {"BIT(8)", "bit(7)", "", false}, {"BIT(1)", "tinyint(1)", "", false},
		{"JSON", "json", "", true}, {"JSON", "longtext", "utf8mb4", true}, {"JSON", "longtext", "latin1", false}, {"JSON", "text", "utf8mb4", false}, {"LONGTEXT", "json", "", false},
		{"VECTOR(3)", "vector(3)", "", true}, {"VECTOR(3)", "vector", "", true}, {"VECTOR", "vector(3)", "", false}, {"CHAR(36)", "uuid", "", false},
	} {
		f := &schema.File{Path: "d.t-schema.sql", Text: "CREATE TABLE t (a " + c.from + ", g INT AS (a), x INT) DEFAULT CHARSET=utf8mb4"}
		table, err := schema.ReadTable(f, schema.Object{DB: "d", Name: "t"}, func(o schema.Object) schema.Object { return o })
		require.NoError(t, err)
		losses := table.Losses([]schema.Existing{{Name: "G", Type: "tinyint(4)"}, {Name: "A", Type: c.have, Charset: c.set}})
		if c.keeps {
			require.Empty(t, losses, "%s into %s %s", c.from, c.have, c.set)
			continue
		}
		require.Len(t, losses, 1, "%s into %s %s", c.from, c.have, c.set)
		require.Contains(t, losses[0], "column a ")
		require.NotContains(t, losses[0], "-1", "a width that isn't given")
	}
	f := &schema.File{Path: "d.t-schema.sql", Text: "CREATE TABLE t (a DECIMAL(10,3), b VARCHAR(3))"}
	table, err := schema.ReadTable(f, schema.Object{DB: "d", Name: "t"}, func(o schema.Object) schema.Object { return o })
	require.NoError(t, err)
	require.Equal(t, []string{"column a is decimal(10,2) unsigned, and decimal(10,3) in the source"},
		table.Losses([]schema.Existing{{Name: "a", Type: "decimal(10,2) unsigned"}, {Name: "b", Type: "varchar(3)", Charset: "latin1"}}), "of b's characters nothing is known")
}

// TestNoLosses: a table of the source's own definition, as TiDB describes it, keeps all values.
func TestNoLosses(t *testing.T) {
	t.Parallel()
	for _, def := range []string{
		"TINYINT", "TINYINT UNSIGNED", "SMALLINT", "MEDIUMINT UNSIGNED ZEROFILL", "INT(3)", "BIGINT UNSIGNED", "BOOLEAN", "FLOAT", "FLOAT(7,3)", "FLOAT(30)", "FLOAT UNSIGNED", "DOUBLE",
		"DOUBLE(12,4)", "REAL", "DECIMAL", "DECIMAL(65,30)", "DECIMAL(5,2) UNSIGNED", "DATE", "DATETIME", "DATETIME(6)", "TIMESTAMP(3) NULL", "TIME", "TIME(6)", "YEAR", "CHAR", "CHAR(30)",
		"VARCHAR(300)", "BINARY", "BINARY(5)", "VARBINARY(600)", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "BIT", "BIT(64)", "JSON", "VECTOR",
		"VECTOR(3)", "ENUM('a','b c','1','it''s','back\\\\slash')", "SET('x','y','z')", "VARCHAR(9) CHARACTER SET latin1", "TEXT COLLATE gbk_bin", "CHAR(3) CHARACTER SET binary",
	} {
		f := &schema.File{Path: "d.t-schema.sql", Text: "CREATE TABLE t (a " + def + ") DEFAULT CHARSET=utf8"}
		table, err := schema.ReadTable(f, schema.Object{DB: "d", Name: "t"}, func(o schema.Object) schema.Object { return o })
		require.NoError(t, err, def)
		tp, set := table.Columns[0].Tp, ""
		switch {
		case tp.GetCharset() != "" && tp.GetCharset() != "binary":
			set = tp.GetCharset()
		case strings.Contains(def, "gbk"):
			set = "gbk"
		case tp.GetCharset() == "":
			set = "utf8"
		}
		require.Empty(t, table.Losses([]schema.Existing{{Name: "a", Type: strings.Replace(tp.InfoSchemaStr(), "year(-1)", "year(4)", 1), Charset: set}}), def)
	}
}
