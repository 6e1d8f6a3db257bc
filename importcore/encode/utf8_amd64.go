package encode

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// validWide is utf8.Valid for texts with characters outside of ASCII.
func validWide(b []byte) bool {
	if !hasAVX2 || len(b) < 16 {
		return validWideGo(b)
	}
	var tail [32]byte
	whole := len(b) &^ 31
	copy(tail[:], b[whole:])
	return validAVX2(&b[0], whole/32, &tail)
}

// validAVX2 is utf8.Valid of blocks*32 bytes at data followed by tail, whose
// last byte is zero. It sees 32 bytes at once, without a branch on what they
// are (the method of Keiser and Lemire, "Validating UTF-8 in less than one
// instruction per byte").
//
//go:noescape
func validAVX2(data *byte, blocks int, tail *[32]byte) bool
