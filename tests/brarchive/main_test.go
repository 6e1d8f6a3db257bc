package brarchive

import (
	"os"
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) { os.Exit(playground.Main(m, playground.Options{Stores: 3})) }
