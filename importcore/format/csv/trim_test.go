package csv_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
)

// TestTrimLastSeparator: a separator at the end of a row is none, however the row ends and whether it is read by marks or by the parser; an empty
// field in quotes, or the only one, stays.
func TestTrimLastSeparator(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*csv.Config)
		input  string
		rows   []string
	}{
		"line feeds":    {nil, "1,2,\n3,4\n5,,\n,,\n6,\n", []string{"1|2", "3|4", "5|", "|", "6"}},
		"all line ends": {nil, "1,2,\r\n3,\r4,5,\r\n6,7,", []string{"1|2", "3", "4|5", "6|7"}},
		"quoted":        {nil, "1,\"\"\n\"a\",\"\",\n\"\"\n\"x,\",\n", []string{"1|", "a|", "", "x,"}},
		"escaped":       {nil, "1,\\,\n2,\\N,\n", []string{"1|,", "2|NULL"}},
		"empty is NULL": {func(c *csv.Config) { c.NullText = []string{""} }, "1,,\n2,\n", []string{"1|NULL", "2"}},
		"long markers":  {func(c *csv.Config) { c.FieldsTerminatedBy, c.LinesTerminatedBy = "||", "|+|\n" }, "1||2|||+|\n3||4|+|\n", []string{"1|2", "3|4"}},
		"its own end":   {func(c *csv.Config) { c.LinesTerminatedBy = ";" }, "1,2,;3,4;", []string{"1|2", "3|4"}},
	} {
		cfg := csv.DefaultConfig()
		cfg.TrimLastSeparator = true
		if c.change != nil {
			c.change(&cfg)
		}
		require.NoError(t, cfg.Validate(), name)
		r := csv.NewReader(cfg)
		r.Reset(&format.Block{Data: []byte(c.input)})
		var rows []string
		for {
			fields, err := r.Next()
			if err != nil {
				require.ErrorContains(t, err, "EOF", name)
				break
			}
			var row []string
			for _, f := range fields {
				if f.Null {
					f.Bytes = []byte("NULL")
				}
				row = append(row, string(f.Bytes))
			}
			rows = append(rows, strings.Join(row, "|"))
		}
		require.Equal(t, c.rows, rows, name)
	}
}
