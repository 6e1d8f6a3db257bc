package privilege

import (
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/stretchr/testify/require"
)

func TestGrantsSuper(t *testing.T) {
	t.Parallel()
	p := parser.New()
	for grant, want := range map[string]bool{
		"GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION":   true,
		"GRANT SUPER ON *.* TO 'u'@'%'":                                 true,
		"GRANT SELECT,SUPER ON *.* TO 'u'@'%'":                          true,
		"GRANT USAGE ON *.* TO 'u'@'%'":                                 false,
		"GRANT SELECT ON *.* TO 'u'@'%'":                                false,
		"GRANT ALL PRIVILEGES ON `super`.* TO 'u'@'%'":                  false,
		"GRANT ALL PRIVILEGES ON `db`.`super` TO 'super'@'%'":           false,
		"GRANT RESTORE_ADMIN,BACKUP_ADMIN ON *.* TO 'u'@'%'":            false,
		"GRANT 'super'@'%' TO 'u'@'%'":                                  false,
		"GRANT SOMETHING NEW ON *.* TO 'u'@'%', SUPER ON *.* TO nobody": false,
		"": false,
	} {
		require.Equal(t, want, grantsSuper(p, grant), grant)
	}
}

func TestQuoteTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "`t``x`", QuoteTable("", "t`x"))
	require.Equal(t, "`d`.`t`", QuoteTable("d", "t"))
}
