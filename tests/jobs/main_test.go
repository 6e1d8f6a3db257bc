// Package jobs_test runs what keeps and runs jobs against real databases: the
// job store on TiDB and on MariaDB, the executor on TiDB.
//
// MariaDB's server (package mariadb-server) has to be installed; a machine
// without it says so with SLUICE_SKIP_MARIADB=1.
package jobs_test

import (
	"os"
	"testing"

	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(mariadb.Main{M: m}, playground.Options{}))
}
