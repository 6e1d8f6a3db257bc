package sortkv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// # Going on after an interruption
//
// Checkpoint leaves nothing in memory but what a Manifest says, and Reopen takes up the runs
// that it names, whatever the process before did afterwards. So a run of a manifest
// must not go: when runs are merged, a note of what was merged into what is left on
// the disk before the parts are removed, and Reopen follows these notes.

// Manifest is what a Sorter had on disk at a Checkpoint. It has a form in JSON.
type Manifest struct {
	// Dir is the name of the sorter's own directory; "" if nothing was added.
	Dir         string      `json:"dir,omitempty"`
	Compression Compression `json:"compression,omitempty"`
	SuffixBytes int         `json:"suffix,omitempty"`
	Runs        []RunID     `json:"runs,omitempty"`
	// Last is the highest number that a run has had.
	Last int32 `json:"last,omitempty"`
	// Written is the size of all runs that were ever written, in bytes.
	Written  int64       `json:"written,omitempty"`
	Checksum kv.Checksum `json:"checksum"`
	MaxKey   []byte      `json:"max_key,omitempty"`
}

// RunID names a run and what is in it.
type RunID struct {
	Number int32  `json:"n"`
	Footer uint32 `json:"f"` // its CRC32C, which covers sizes, counts and the index
}

// Spilled is Sorted.Spilled at that moment.
func (m *Manifest) Spilled() int64 { return m.Written }

// ManifestError says that the directory does not hold what a manifest says: it is
// gone, or damaged.
type ManifestError struct{ cause error }

// Error names the file.
func (e *ManifestError) Error() string { return fmt.Sprintf("the sorted pairs are lost: %v", e.cause) }

// Unwrap returns the reason.
func (e *ManifestError) Unwrap() error { return e.cause }

// Checkpoint writes all pairs that were added to runs and says which these are. Every
// arena must have been given to Add or Discard, and no other call may be running. The sorter goes on
// afterwards. What the manifest names is safe from the end of the process; Sync makes it safe from the
// machine's. Errors are those of Add.
func (s *Sorter) Checkpoint(ctx context.Context) (Manifest, error) {
	if err := s.enter(); err != nil {
		return Manifest{}, err
	}
	defer s.leave()
	s.mu.Lock()
	busy := s.mu.calls > 1 || len(s.mu.free) != len(s.mu.charge)
	var chunks []*chunk
	if !busy && len(s.mu.resident) > 0 {
		chunks = s.takeResidentLocked()
	}
	s.mu.Unlock()
	if busy {
		return Manifest{}, fault.New(fault.Sluice, 0, "sortkv: Checkpoint while arenas are in use")
	}
	if chunks != nil {
		if err := s.spill(ctx, chunks); err != nil {
			return Manifest{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.named, s.mu.parts = s.mu.made, nil
	m := Manifest{
		Compression: s.opts.Compression, SuffixBytes: s.opts.SuffixBytes, Last: s.mu.made,
		Written: s.mu.written, Checksum: s.mu.checksum, MaxKey: slices.Clone(s.mu.maxKey),
	}
	if s.mu.dir != "" {
		m.Dir = s.opts.FS.PathBase(s.mu.dir)
	}
	for _, r := range s.mu.runs {
		m.Runs = append(m.Runs, RunID{r.number, r.footer})
	}
	return m, nil
}

// Sync returns when the runs of a manifest outlive the machine's next start. It may
// be called while pairs are added, but not during Finish, and by one goroutine at a time.
func (s *Sorter) Sync(ctx context.Context, m Manifest) error {
	for _, r := range m.Runs {
		if r.Number <= s.synced {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := syncRun(s.opts.FS, s.runPath(r.Number)); err != nil {
			return writeError(s.opts.Dir, err)
		}
	}
	if m.Last > s.synced {
		if err := s.syncDirs(); err != nil {
			return writeError(s.opts.Dir, err)
		}
	}
	s.synced = m.Last
	return nil
}

func syncRun(fs vfs.FS, name string) error {
	for _, suffix := range []string{keysSuffix, valuesSuffix} {
		if err := syncFile(fs.Open(name + suffix)); err != nil {
			return err
		}
	}
	return nil
}

// syncDirs makes the names of files outlive the machine's next start.
func (s *Sorter) syncDirs() error {
	s.mu.Lock()
	dir := s.mu.dir
	s.mu.Unlock()
	for _, d := range []string{dir, s.opts.Dir} {
		if err := syncFile(s.opts.FS.OpenDir(d)); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(f vfs.File, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// CloseKeep is Close, but what the last manifest names stays for Reopen.
func (s *Sorter) CloseKeep() error { return s.close(true) }

// Reopen returns a sorter that goes on with what a manifest names. Of opts, the
// compression is the manifest's; Dir must be that of the sorter before. Files that the
// manifest doesn't know are removed. The error is a *ManifestError if the runs are not there as they were,
// and a *fault.Error if that can't be told.
func Reopen(opts Options, m Manifest) (*Sorter, error) {
	opts.Compression = m.Compression
	s, err := New(opts)
	if err != nil {
		return nil, err
	}
	if m.SuffixBytes != opts.SuffixBytes {
		return nil, &ManifestError{fmt.Errorf("they have suffixes of %d bytes, not of %d", m.SuffixBytes, opts.SuffixBytes)}
	}
	s.mu.checksum, s.mu.written, s.mu.made = m.Checksum, m.Written, m.Last
	s.mu.maxKey, s.synced = slices.Clone(m.MaxKey), m.Last
	if m.Dir == "" {
		return s, nil
	}
	s.mu.dir = s.opts.FS.PathJoin(s.opts.Dir, m.Dir)
	switch err := s.takeUp(m.Runs); {
	case err == nil:
		return s, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errDamaged), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &ManifestError{err}
	default: // they may well be there
		return nil, readError(s.opts.Dir, err)
	}
}

// takeUp finds the runs of a manifest, or those that they were merged into, and
// removes all other files.
func (s *Sorter) takeUp(runs []RunID) error {
	files := s.opts.FS
	names, err := files.List(s.mu.dir)
	if err != nil {
		return err
	}
	notes, err := s.readNotes(names)
	if err != nil {
		return err
	}
	have := make(map[int32]uint32, len(runs))
	for _, r := range runs {
		have[r.Number] = r.Footer
	}
	used := map[string]bool{}
	for _, note := range notes {
		if follow(have, note) {
			used[noteName(note.Run.Number)] = true
		}
	}
	for number, crc := range have {
		info, err := s.verifyRun(number, crc)
		if err != nil {
			return err
		}
		s.mu.runs = append(s.mu.runs, info)
		s.mu.giant = max(s.mu.giant, int64(info.giant))
		used[runName(number)+keysSuffix], used[runName(number)+valuesSuffix] = true, true
		s.mu.made = max(s.mu.made, number)
	}
	s.mu.named = s.mu.made
	slices.SortFunc(s.mu.runs, func(x, y runInfo) int { return int(x.number - y.number) })
	for _, name := range names {
		if used[name] {
			continue
		}
		if err := files.Remove(files.PathJoin(s.mu.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// verifyRun looks whether a run is as it was written, as far as its footer and the sizes tell.
func (s *Sorter) verifyRun(number int32, crc uint32) (info runInfo, err error) {
	r, err := openRun(s.opts.FS, s.runPath(number))
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	values, err := r.values.Stat()
	if err != nil {
		return info, err
	}
	info = r.foot.info(number)
	if info.footer != crc || values.Size() != r.foot.valueBytes {
		return info, fmt.Errorf("%s is not what was written: %w", r.name, errDamaged)
	}
	return info, nil
}

// mergeNote says that a run took the place of others.
type mergeNote struct {
	Run   RunID   `json:"run"`
	Parts []RunID `json:"parts"`
}

const noteSuffix = ".merged"

func noteName(number int32) string { return runName(number) + noteSuffix }

// follow replaces the parts of a note by their run, if all of them are there.
func follow(have map[int32]uint32, note mergeNote) bool {
	for _, p := range note.Parts {
		if crc, ok := have[p.Number]; !ok || crc != p.Footer {
			return false
		}
	}
	for _, p := range note.Parts {
		delete(have, p.Number)
	}
	have[note.Run.Number] = note.Run.Footer
	return true
}

// divide tells runs that the last manifest names, or that were merged from such, from
// later ones. A run that was merged from both could not take the place of the former.
func (s *Sorter) divide(runs []runInfo) (named, later []runInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range runs {
		if r.number <= s.mu.named || s.mu.parts[r.number] {
			named = append(named, r)
		} else {
			later = append(later, r)
		}
	}
	return named, later
}

// leaveNote makes it known, if the last manifest names the parts, that a run has taken their place. It and
// the run outlive the machine's next start when it returns.
func (s *Sorter) leaveNote(merged runInfo, parts []runInfo) error {
	if named, _ := s.divide(parts); len(named) == 0 {
		return nil
	}
	s.mu.Lock()
	if s.mu.parts == nil {
		s.mu.parts = make(map[int32]bool)
	}
	s.mu.parts[merged.number] = true
	s.mu.Unlock()
	note := mergeNote{Run: RunID{merged.number, merged.footer}}
	for _, p := range parts {
		note.Parts = append(note.Parts, RunID{p.number, p.footer})
	}
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	if err := syncRun(s.opts.FS, s.runPath(merged.number)); err != nil {
		return err
	}
	// Of names that were not synced any may be lost: a note must not outlive its run's.
	if err := s.syncDirs(); err != nil {
		return err
	}
	path := s.opts.FS.PathJoin(s.opts.FS.PathDir(s.runPath(merged.number)), noteName(merged.number))
	f, err := s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, syncFile(f, nil)); err != nil {
		return err
	}
	return s.syncDirs()
}

// readNotes returns the notes in the order in which runs were merged. One that was cut short
// was not finished, so its parts are there.
func (s *Sorter) readNotes(names []string) (notes []mergeNote, err error) {
	for _, name := range names {
		number, ok := strings.CutSuffix(name, noteSuffix)
		if !ok {
			continue
		}
		f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.mu.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		var note mergeNote
		if json.Unmarshal(text, &note) == nil && strconv.Itoa(int(note.Run.Number)) == strings.TrimLeft(number, "0") && len(note.Parts) > 0 {
			notes = append(notes, note)
		}
	}
	slices.SortFunc(notes, func(x, y mergeNote) int { return int(x.Run.Number - y.Run.Number) })
	return notes, nil
}
