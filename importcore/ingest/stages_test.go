package ingest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReactionsAreTheDocumentedOnes reads the table in the package
// documentation and compares it with the machine.
func TestReactionsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	kinds := map[string]Kind{}
	for k := range kindCount {
		kinds[k.String()] = k
	}
	stages := map[string]Stage{"scan": StageScan, "write": StageWrite, "ingest": StageIngest}
	seen := map[Kind]bool{}
	for _, line := range strings.Split(string(doc), "\n") {
		row, isTable := strings.CutPrefix(line, "//\t")
		if !isTable {
			continue
		}
		fields := strings.Fields(row)
		if list, ok := strings.CutSuffix(strings.Join(fields, " "), ": fail"); ok {
			for _, name := range strings.Split(list, ", ") {
				kind, known := kinds[name]
				require.True(t, known, "kind %q", name)
				for _, at := range stages {
					require.Equal(t, StageFail, react(at, kind, true, 0), "%s in %s", name, at)
				}
				seen[kind] = true
			}
			continue
		}
		if len(fields) < 3 {
			continue
		}
		kind, ok := kinds[fields[0]]
		if !ok {
			continue
		}
		var want []Stage
		for _, f := range fields[1:] {
			if s, ok := stages[f]; ok && len(want) < 2 {
				want = append(want, s)
			}
		}
		require.Len(t, want, 2, line)
		require.Equal(t, StageScan, react(StageScan, kind, false, 0), line)
		require.Equal(t, want[0], react(StageWrite, kind, false, 0), line)
		require.Equal(t, want[1], react(StageIngest, kind, false, 0), line)
		seen[kind] = true
	}
	require.Len(t, seen, int(kindCount), "kinds that the documentation tells of")
}

func TestReactExceptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		at      Stage
		kind    Kind
		fresh   bool
		repeats int
		want    Stage
	}{
		{"a hint saves the scan", StageIngest, KindNotLeader, true, 1, StageWrite},
		{"a returned region saves the scan", StageIngest, KindEpochNotMatch, true, 1, StageWrite},
		{"a region does not make a busy store write again", StageIngest, KindServerIsBusy, true, 1, StageIngest},
		{"a lost answer is asked for again", StageIngest, KindTransport, false, sameIngestTries - 1, StageIngest},
		{"but not for ever", StageIngest, KindTransport, false, sameIngestTries, StageScan},
		{"busy is waited out by the overall limit only", StageIngest, KindServerIsBusy, false, 10 * sameIngestTries, StageIngest},
		{"a full disk fails whatever else is known", StageIngest, KindDiskFull, true, 1, StageFail},
	} {
		require.Equal(t, c.want, react(c.at, c.kind, c.fresh, c.repeats), c.name)
	}
}
