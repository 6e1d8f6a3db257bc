package instance

import (
	"bytes"
	"os"
)

// logLines copies what a process writes to its standard error into a file and tells each whole line
// of it. One goroutine, that of the process's standard error, uses it.
type logLines struct {
	file *os.File
	tell func(line string)
	rest []byte // of a line whose end has not come
}

// openLogLines appends to the file at path.
func openLogLines(path string, tell func(line string)) (*logLines, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &logLines{file: file, tell: tell}, nil
}

// Write implements io.Writer.
func (l *logLines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte{'\n'})
		if !whole {
			return l.file.Write(p)
		}
		l.tell(string(line))
		l.rest = rest
	}
}

// close is for nil too.
func (l *logLines) close() {
	if l != nil {
		_ = l.file.Close() // what is in it is for reading after a failure
	}
}
