//go:build !amd64

package encode

// validWide is utf8.Valid for texts with characters outside of ASCII.
func validWide(b []byte) bool { return validWideGo(b) }
