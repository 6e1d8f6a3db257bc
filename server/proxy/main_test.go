package proxy

import (
	"testing"

	"go.uber.org/goleak"
)

// opencensus, linked for the cloud storages' sake, starts a worker when loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}
