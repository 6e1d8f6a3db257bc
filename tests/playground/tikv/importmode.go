package tikv

import (
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
)

// importModeTimeout is TiKV's import-mode-timeout: a store whose import mode is
// not renewed goes back to normal by itself.
const importModeTimeout = 10 * time.Minute

// importMode is the mode of one store. There is no count of importers: one
// switch to normal ends it for all, as in TiKV.
type importMode struct {
	now func() time.Time
	mu  struct {
		sync.Mutex
		expires time.Time // zero in normal mode
	}
}

func (m *importMode) set(mode import_sstpb.SwitchMode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.expires = time.Time{}
	if mode == import_sstpb.SwitchMode_Import {
		m.mu.expires = m.now().Add(importModeTimeout)
	}
}

func (m *importMode) get() import_sstpb.SwitchMode {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now().Before(m.mu.expires) {
		return import_sstpb.SwitchMode_Import
	}
	return import_sstpb.SwitchMode_Normal
}
