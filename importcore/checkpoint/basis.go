package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Basis is what the work done depends on.
type Basis struct {
	// Files holds a digest of each file's path, size and time of change, in order.
	Files []Digest `json:"files"`
	// TableID is the table's; Table holds a digest of each part of its structure.
	TableID int64             `json:"table_id"`
	Table   map[string]Digest `json:"table"`
	// Options holds a digest of each option that decides what becomes of a row.
	Options map[string]Digest `json:"options"`
}

// Digest tells two values apart.
type Digest string

// DigestOf returns the digest of a value as JSON shows it.
func DigestOf(value any) (Digest, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("digest of a %T: %w", value, err)
	}
	sum := sha256.Sum256(text)
	return Digest(hex.EncodeToString(sum[:10])), nil
}

// Difference says what differs between a job's basis as it was and as it is
// now, in a sentence's form, or returns "". name gives the i-th of the files as they are now.
func (b *Basis) Difference(now *Basis, name func(i int) string) string {
	if len(now.Files) != len(b.Files) {
		return fmt.Sprintf("the location names %d files now, it named %d", len(now.Files), len(b.Files))
	}
	for i, d := range now.Files {
		if d != b.Files[i] {
			return fmt.Sprintf("file %s is not what it was: name, size or time of change differ", name(i))
		}
	}
	if now.TableID != b.TableID {
		return "the table was truncated, dropped or replaced"
	}
	if part := differs(b.Table, now.Table); part != "" {
		return fmt.Sprintf("the table was changed: its %s differ", part)
	}
	if option := differs(b.Options, now.Options); option != "" {
		return fmt.Sprintf("the job's %s differs", option)
	}
	return ""
}

// differs returns the first name, in their order, that two maps have another digest for.
func differs(was, now map[string]Digest) string {
	first := ""
	for _, pair := range [][2]map[string]Digest{{was, now}, {now, was}} {
		for name, d := range pair[0] {
			if other, ok := pair[1][name]; (!ok || other != d) && (first == "" || name < first) {
				first = name
			}
		}
	}
	return first
}
