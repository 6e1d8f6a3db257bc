package restore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooser(t *testing.T) {
	t.Parallel()
	c, err := newChooser(&Selection{
		Databases: []string{"Shop", "gone"}, Filters: []string{"*.*", "!*.tmp_*"},
		Renames: []Rename{{From: Name{DB: "shop"}, To: Name{DB: "store"}}},
		Routes:  []Route{{DB: "sh*", Table: "part_*", ToDB: "all", ToTable: "parts"}},
	})
	require.NoError(t, err)
	require.True(t, c.database("SHOP"))
	require.False(t, c.database("other"))
	require.True(t, c.object(Name{"shop", "T"}))
	require.False(t, c.object(Name{"shop", "TMP_x"}))
	require.False(t, c.object(Name{"other", "t"}))
	require.Equal(t, []string{"database `gone`"}, c.missing())
	to, err := c.target(Name{"SHOP", "part_1"})
	require.NoError(t, err)
	require.Equal(t, Name{"store", "part_1"}, to, "a rename comes before routes")
}

func TestChooserOfEverything(t *testing.T) {
	t.Parallel()
	c, err := newChooser(&Selection{Everything: true, Routes: []Route{{DB: "s?", Table: "u_*", ToDB: "all", ToTable: "u"}, {DB: "s*", Table: "u_1", ToDB: "x"}, {DB: "s*", ToDB: "db"}}})
	require.NoError(t, err)
	require.False(t, c.object(Name{"MySQL", "user"}))
	require.True(t, c.object(Name{"s1", "u_2"}))
	for from, want := range map[Name]Name{{"s1", "u_2"}: {"all", "u"}, {"s1", "v"}: {"db", "v"}, {"t", "u_1"}: {"t", "u_1"}, {"S2", "U_3"}: {"all", "u"}} {
		to, err := c.target(from)
		require.NoError(t, err)
		require.Equal(t, want, to)
	}
	_, err = c.target(Name{"s1", "u_1"})
	require.ErrorContains(t, err, "`s1`.`u_1`", "two routes fit")
}

func TestChooserOfWholeDatabases(t *testing.T) {
	t.Parallel()
	c, err := newChooser(&Selection{Everything: true, Filters: []string{"a.t", "b.*", "!b.x", "c.t_*"}})
	require.NoError(t, err)
	for _, db := range []string{"a", "b", "c"} {
		require.True(t, c.database(db))
		require.Equal(t, db == "b", c.whole(db), db)
	}
	c, err = newChooser(&Selection{Everything: true})
	require.NoError(t, err)
	require.True(t, c.whole("a"))
}

func TestChooserRefuses(t *testing.T) {
	t.Parallel()
	_, err := newChooser(&Selection{Filters: []string{"@/etc/passwd"}})
	require.ErrorContains(t, err, "would read a file")
	_, err = newChooser(&Selection{Filters: []string{"a"}})
	require.Error(t, err)
}

// TestEverythingIsWithoutSystemSchemas: a dump of a whole cluster holds Sluice's jobs too, which are those of that cluster.
func TestEverythingIsWithoutSystemSchemas(t *testing.T) {
	t.Parallel()
	c, err := newChooser(&Selection{Everything: true, Exclude: []string{"sluice"}})
	require.NoError(t, err)
	require.True(t, c.database("shop"))
	for _, db := range []string{"mysql", "SYS", "Sluice", "lightning_metadata"} {
		require.False(t, c.database(db), db)
		require.False(t, c.object(Name{DB: db, Table: "t"}), db)
	}
	c, err = newChooser(&Selection{Everything: true, Filters: []string{"sluice.*"}, Exclude: []string{"Sluice"}})
	require.NoError(t, err)
	require.False(t, c.database("sluice"), "what a filter lets through doesn't come back")
	c, err = newChooser(&Selection{Databases: []string{"sluice"}, Exclude: []string{"sluice"}})
	require.NoError(t, err)
	require.True(t, c.database("sluice"), "it is named")
}
