package sortkv

import "context"

type Manifest struct{ Runs []string }

func (m *Manifest) Spilled() int64 { return 0 }

type ManifestError struct{}

func (*ManifestError) Error() string                               { return "" }
func (s *Sorter) Checkpoint(ctx context.Context) (Manifest, error) { return Manifest{}, nil }
func Reopen(o Options, m Manifest) (*Sorter, error)                { return nil, &ManifestError{} }
func (s *Sorter) CloseKeep() error                                 { return s.Close() }
func (s *Sorter) Sync(ctx context.Context, m Manifest) error { return nil }
