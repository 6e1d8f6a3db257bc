package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written like "256MiB". Units are B, KiB, MiB, GiB
// and TiB; a bare number is bytes. Decimal units (MB) are refused: half the world
// reads them as binary.
type Size int64

var sizeUnits = []struct {
	suffix string
	shift  uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}, {"", 0}}

// ParseSize parses a size; a fraction ("1.5GiB") is rounded down to bytes.
func ParseSize(text string) (Size, error) {
	trimmed := strings.TrimSpace(text)
	for _, unit := range sizeUnits {
		number, ok := cutSuffixFold(trimmed, unit.suffix)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		if whole, err := strconv.ParseUint(number, 10, 63); err == nil {
			if whole > (1<<63-1)>>unit.shift {
				return 0, fmt.Errorf("size %q is too large", text)
			}
			return Size(whole << unit.shift), nil
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil || !(value >= 0) || value*float64(uint64(1)<<unit.shift) >= 1<<63 || strings.ContainsAny(number, "xXpP_") {
			break
		}
		return Size(value * float64(uint64(1)<<unit.shift)), nil
	}
	return 0, fmt.Errorf("size %q is not a number with B, KiB, MiB, GiB or TiB", text)
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return "", false
	}
	return s[:at], true
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err == nil {
		*s = v
	}
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the size with the largest unit that leaves no fraction.
func (s Size) String() string {
	for i := len(sizeUnits) - 3; i >= 0; i-- {
		if unit := sizeUnits[i]; s != 0 && s&(1<<unit.shift-1) == 0 {
			return strconv.FormatInt(int64(s>>unit.shift), 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Duration is a time.Duration written like "1m30s".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil {
		*d = Duration(v)
	}
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is that of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// Secret is a text that no String, log or marshalled form shows.
type Secret string

// hidden is shown in a secret's place, whatever its length.
const hidden = "******"

// Reveal returns the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret; it shows whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
