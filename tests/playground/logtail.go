package playground

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// maxLogTail bounds what LogTail reads from the end of a file, in bytes.
const maxLogTail = 256 << 10

// LogTail returns the last lines of the process's log and all that it wrote to
// its standard error (a crash, mostly), for the report of a failed test.
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
	text = bytes.TrimRight(text, "\n")
	for i := len(text); lines > 0; lines-- {
		if i = bytes.LastIndexByte(text[:i], '\n'); i < 0 {
			return string(text), nil
		}
		if lines == 1 {
			text = text[i+1:]
		}
	}
	return string(text), nil
}
