package checkpoint

import "testing"

// BenchmarkMarshal is what each save of a small table's state costs.
func BenchmarkMarshal(b *testing.B) {
	s := someState()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Marshal(); err != nil {
			b.Fatal(err)
		}
	}
}
