package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

func TestClassifyStatus(t *testing.T) {
	t.Parallel()
	unknown := func(text string) error { return status.Error(codes.Unknown, text) }
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{unknown(`RequestTooNew("request region 4 is ahead of local region, please retry write later")`), KindRequestTooNew},
		{unknown(`RequestTooOld("request region 4 is staler than local region")`), KindRequestTooOld},
		{unknown(`RequestTooOld("region 4 is not found")`), KindRequestTooOld},
		{unknown(`Engine("request region 4 is ahead of local region")`), KindRequestTooNew},
		{unknown(`Engine("request region 4 is staler than local region")`), KindRequestTooOld},
		{unknown(`DiskSpaceNotEnough`), KindDiskFull},
		{unknown(`Engine(Engine("Keys must be added in strict ascending order"))`), KindKeyOrder},
		{unknown(`InvalidChunk`), KindInvalid},
		{unknown(`IncompatibleApiVersion`), KindRefused},
		{unknown(`something new`), KindOther},
		{status.Error(codes.Unavailable, "connection refused"), KindTransport},
		{status.Error(codes.Internal, "stream reset"), KindTransport},
		{status.Error(codes.Unimplemented, "unknown method"), KindRefused},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), KindWriteTimeout},
		{context.DeadlineExceeded, KindWriteTimeout},
	} {
		f := classifyStatus(7, c.err, KindWriteTimeout)
		require.Equal(t, c.want, f.kind, "%v", c.err)
		require.EqualValues(t, 7, f.store)
		require.ErrorIs(t, f.cause, c.err)
	}
}

func TestClassifyRegionError(t *testing.T) {
	t.Parallel()
	peers := []*metapb.Peer{{Id: 11, StoreId: 1}, {Id: 12, StoreId: 2}}
	now := region.Region{Meta: &metapb.Region{Id: 5, Peers: peers}, Leader: peers[0]}
	left := &metapb.Region{Id: 6, EndKey: region.Enc([]byte("m")), Peers: peers}
	right := &metapb.Region{Id: 5, StartKey: region.Enc([]byte("m")), Peers: peers}
	other := &metapb.Region{Id: 8, Peers: []*metapb.Peer{{Id: 19, StoreId: 9}}}
	for _, c := range []struct {
		name       string
		err        *errorpb.Error
		want       Kind
		freshID    uint64 // region that holds the key "z"
		freshStore uint64
		wait       time.Duration
	}{
		{"hint", &errorpb.Error{NotLeader: &errorpb.NotLeader{Leader: peers[1]}}, KindNotLeader, 5, 2, 0},
		{"no hint", &errorpb.Error{NotLeader: &errorpb.NotLeader{}}, KindNotLeader, 0, 0, 0},
		{"hint at a stranger", &errorpb.Error{NotLeader: &errorpb.NotLeader{Leader: &metapb.Peer{Id: 99, StoreId: 2}}}, KindNotLeader, 0, 0, 0},
		{"split", &errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: []*metapb.Region{left, right}}}, KindEpochNotMatch, 5, 1, 0},
		{"gone from here", &errorpb.Error{EpochNotMatch: &errorpb.EpochNotMatch{CurrentRegions: []*metapb.Region{other}}}, KindEpochNotMatch, 0, 0, 0},
		{"busy", &errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{BackoffMs: 1500}}, KindServerIsBusy, 0, 0, 1500 * time.Millisecond},
		{"not found", &errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}, KindRegionNotFound, 0, 0, 0},
		{"stale", &errorpb.Error{StaleCommand: &errorpb.StaleCommand{}}, KindStaleCommand, 0, 0, 0},
		{"key", &errorpb.Error{KeyNotInRegion: &errorpb.KeyNotInRegion{}}, KindKeyNotInRegion, 0, 0, 0},
		{"merging", &errorpb.Error{ProposalInMergingMode: &errorpb.ProposalInMergingMode{}}, KindMerging, 0, 0, 0},
		{"read index", &errorpb.Error{ReadIndexNotReady: &errorpb.ReadIndexNotReady{}}, KindNotReady, 0, 0, 0},
		{"disk", &errorpb.Error{DiskFull: &errorpb.DiskFull{}}, KindDiskFull, 0, 0, 0},
		{"dropped", &errorpb.Error{Message: "[region 5] ingest failed: raft: proposal dropped"}, KindProposalDropped, 0, 0, 0},
		{"latch", &errorpb.Error{Message: "ingest file conflict"}, KindFileConflict, 0, 0, 0},
		{"unknown", &errorpb.Error{Message: "what?"}, KindOther, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := classifyRegionError(1, c.err, now)
			require.Equal(t, c.want, f.kind)
			require.Equal(t, c.wait, f.wait)
			fresh, ok := f.holding(region.Enc([]byte("z")))
			require.Equal(t, c.freshID != 0, ok)
			if ok {
				require.Equal(t, c.freshID, fresh.ID())
				require.Equal(t, c.freshStore, fresh.Leader.StoreId)
			}
		})
	}
}

// TestClassifyDownloadText: the texts are those of TiKV, for S3, Google, Azure and local folders, and of the clients that the playground has.
func TestClassifyDownloadText(t *testing.T) {
	t.Parallel()
	const file = "Cannot read s3://data/shop/1/284_403_404_98f3_write.sst into /data/import/.temp/1_404_403_write.sst: "
	for text, want := range map[string]Kind{
		"No such file or directory (os error 2)":                                            KindDamaged,
		"no key shop/1/284_403_404_98f3_write.sst at bucket data":                           KindDamaged,
		"GCS OAuth: http://gcs/storage/v1/b/data/o/shop%2F1: 404 Not Found":                 KindDamaged,
		`server returned error status which will not be retried: 404`:                       KindDamaged,
		"HTTP error status (status: 404, error code: \"BlobNotFound\")":                     KindDamaged,
		"failed to read gcs file: storage: object doesn't exist":                            KindDamaged,
		"downloaded size 100, expected 200":                                                 KindDamaged,
		"GCS OAuth: http://gcs/storage/v1/b/data/o/shop%2F1: 403 Forbidden":                 KindDenied,
		"server returned error status which will not be retried: 403":                       KindDenied,
		`failed to get object Unknown(BufferedHttpResponse {status: 403, body: "Sorry" })`:  KindDenied,
		`failed to get object ServiceError { raw: Response { status: StatusCode(403) } }`:   KindDenied,
		`failed to get object Unhandled { code: "AccessDenied" }`:                           KindDenied,
		"Permission denied (os error 13)":                                                   KindDenied,
		"googleapi: got HTTP response code 403 with body: no":                               KindDenied,
		"GET http://azure/data/1\n---\nRESPONSE 403: 403 Forbidden\nERROR CODE UNAVAILABLE": KindDenied,
		"googleapi: Error 403: slow down, userRateLimitExceeded":                            KindOther,
		"GCS OAuth: http://gcs/storage/v1/b/data/o/shop%2F1: 503 Service Unavailable":       KindOther,
		"streaming error": KindOther,
		"region 404 not found, maybe it's not a replica of this store": KindOther,
	} {
		f := classifyDownloadText(3, file+text)
		require.Equal(t, want, f.kind, text)
		require.EqualError(t, f.cause, file+text)
		require.Equal(t, want == KindOther, f.passes(), text)
	}
}

func TestFailureKeepsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	require.ErrorIs(t, fail(KindSource, 0, "reading: %w", cause).cause, cause)
}
