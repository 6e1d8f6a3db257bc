package imports_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIDsThatOthersHaveToo: into a table that has rows, a row of the source gets an
// id that a row of the table has by now. As if others had been given it while the source
// was read, the table's next id is set back. That is no collision of the two rows: with
// no strategy may one go for the other's sake.
func TestIDsThatOthersHaveToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := b.file("x.csv", lines("10", "20"))
	for i, ddl := range []string{
		"(id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT, kind INT DEFAULT 1)",
		"(id BIGINT AUTO_INCREMENT, v INT, kind INT DEFAULT 1, PRIMARY KEY (kind, id) CLUSTERED, KEY (id))",
		"(id INT UNSIGNED AUTO_INCREMENT, v INT, kind INT DEFAULT 1, UNIQUE KEY (id))",
		"(v INT, kind INT DEFAULT 1, id INT AS (v) VIRTUAL)",
	} {
		name := fmt.Sprint("own", i)
		b.exec("CREATE TABLE "+name+" "+ddl, "INSERT INTO "+name+" (v) VALUES (1), (2), (3)")
		for _, strategy := range []string{"replace", "ignore", "capture", "error"} {
			b.exec("ALTER TABLE " + name + " FORCE AUTO_INCREMENT = 2")
			b.fails(fmt.Sprintf("IMPORT INTO %s (v) FROM '%s' WITH allow_non_empty, on_duplicate='%s'", name, path, strategy), 1062, "Duplicate entry '", "others were given ids")
			require.Equal(t, [][]string{{"1"}, {"2"}, {"3"}}, b.query("SELECT v FROM "+name+" ORDER BY v"), strategy)
		}
	}
	// Ids that the source brings along collide as any other key does.
	b.exec("ALTER TABLE own0 FORCE AUTO_INCREMENT = 2")
	b.mustImport(fmt.Sprintf("IMPORT INTO own0 (id, v) FROM '%s' WITH allow_non_empty, on_duplicate='replace'", b.file("y.csv", lines("2,20", "5,50"))))
	require.Equal(t, [][]string{{"1", "1"}, {"2", "20"}, {"3", "3"}, {"5", "50"}}, b.query("SELECT id, v FROM own0 ORDER BY id"))
}
