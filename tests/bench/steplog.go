package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// sluiceSteps is what Sluice's log tells of one import.
type sluiceSteps struct {
	// encode is the step from the first byte read to the pairs sorted.
	encode time.Duration
	// runs is the size of all sorted runs written, in bytes: the pairs that
	// did not fit, after compression.
	runs int64
}

// sluiceTime is how Sluice's log writes times.
const sluiceTime = "2006-01-02T15:04:05.000Z0700"

// parseSluiceLog reads the lines of Sluice's text log: time, level, message
// and a JSON object, separated by tabs.
func parseSluiceLog(text string) (sluiceSteps, error) {
	var steps sluiceSteps
	var began, ended time.Time
	for line := range strings.Lines(text) {
		parts, message, object := splitLog(line)
		switch message {
		case "import step":
			var fields struct{ Step string }
			if err := json.Unmarshal([]byte(object), &fields); err != nil {
				return steps, fmt.Errorf("log line %q: %w", line, err)
			}
			at, err := time.Parse(sluiceTime, parts[0])
			if err != nil {
				return steps, fmt.Errorf("log line %q: %w", line, err)
			}
			switch fields.Step {
			case "encode":
				began = at
			case "ingest":
				ended = at
			}
		case runWritten:
			size, _, err := runSize(line)
			if err != nil {
				return steps, err
			}
			steps.runs += size
		}
	}
	if began.IsZero() || ended.IsZero() {
		return steps, fmt.Errorf("the log does not tell when the step encode began (%v) and ended (%v)", began, ended)
	}
	steps.encode = ended.Sub(began)
	return steps, nil
}

// splitLog takes a line of Sluice's log apart.
func splitLog(line string) (parts []string, message, object string) {
	parts = strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(parts) >= 4 {
		message = parts[len(parts)-2]
	}
	return parts, message, parts[len(parts)-1]
}

const runWritten = "sort run written"

// runSize returns the size of the sorted run that a line tells of, if it does.
func runSize(line string) (bytes int64, ok bool, err error) {
	_, message, object := splitLog(line)
	if message != runWritten {
		return 0, false, nil
	}
	var fields struct{ Bytes int64 }
	if err := json.Unmarshal([]byte(object), &fields); err != nil {
		return 0, false, fmt.Errorf("log line %q: %w", line, err)
	}
	return fields.Bytes, true, nil
}

var takeTime = regexp.MustCompile(`\[takeTime=([^]]+)\]`)

// parseLightningLog returns how long tidb-lightning took until its pairs were
// ready to be sent: encoding and writing into its engines, and closing them.
// Both happen one after the other as long as a table has one data engine,
// which is so below 100 GiB; with more it fails.
func parseLightningLog(text string) (time.Duration, error) {
	var total time.Duration
	encoded := 0
	for line := range strings.Lines(text) {
		encode := strings.Contains(line, `["encode kv data and write completed"]`)
		if !encode && !strings.Contains(line, `["engine close completed"]`) {
			continue
		}
		match := takeTime.FindStringSubmatch(line)
		if match == nil {
			return 0, fmt.Errorf("log line %q has no takeTime", line)
		}
		d, err := time.ParseDuration(match[1])
		if err != nil {
			return 0, fmt.Errorf("log line %q: %w", line, err)
		}
		total += d
		if encode {
			encoded++
		}
	}
	if encoded != 1 {
		return 0, fmt.Errorf("the log tells of %d encoded data engines, want 1", encoded)
	}
	return total, nil
}
