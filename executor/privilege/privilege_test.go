package privilege

import (
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

func TestGrants(t *testing.T) {
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
		"GRANT FILE ON *.* TO 'u'@'%'":                                  false,
		"":                                                              false,
	} {
		require.Equal(t, want, grants(p, grant, mysql.SuperPriv), grant)
	}
	require.True(t, grants(p, "GRANT SELECT,FILE ON *.* TO 'u'@'%'", mysql.FilePriv))
	require.False(t, grants(p, "GRANT SUPER ON *.* TO 'u'@'%'", mysql.FilePriv))
}

func TestQuoteTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "`t``x`", QuoteTable("", "t`x"))
	require.Equal(t, "`d`.`t`", QuoteTable("d", "t"))
}
