package playground

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// maxLogTail bounds what LogTail reads from the end of a file, in bytes.
const maxLogTail = 1 << 20

// LogTail returns the last warnings and errors of the process's log, and the
// end of what it wrote to its standard error (a crash, mostly), for the report
// of a failed test.
func (c *Cluster) LogTail(lines int) string {
	var b strings.Builder
	for _, file := range []struct{ title, path string }{
		{"log of the playground", c.logs},
		{"standard error of the playground", c.logs + ".stderr"},
	} {
		text, err := tail(file.path, lines)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			text = err.Error()
		}
		if text != "" {
			b.WriteString("--- " + file.title + "\n" + text + "\n")
		}
	}
	return b.String()
}

// The marks of levels in TiDB's log format that tell nothing of a failure.
var infoMark, debugMark = []byte("] [INFO] ["), []byte("] [DEBUG] [")

// tail returns the last lines of a file that are worth reading.
func tail(path string, lines int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-maxLogTail), maxLogTail))
	if err != nil {
		return "", err
	}
	var last []string
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, infoMark) && !bytes.Contains(line, debugMark) {
			last = append(last, strings.TrimSuffix(string(line), "\n"))
		}
	}
	return strings.Join(last[max(0, len(last)-lines):], "\n"), nil
}
