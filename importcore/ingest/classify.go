package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

// failure is an error of one stage with what the machine needs to know of it.
type failure struct {
	kind  Kind
	store uint64        // 0 when no single store answered it
	cause error         // never nil
	wait  time.Duration // how long the store asks to wait
	fresh []region.Region
}

func fail(kind Kind, store uint64, format string, args ...any) *failure {
	return &failure{kind: kind, store: store, cause: fmt.Errorf(format, args...)}
}

// whose says to whom a failure that ends the run belongs.
func (f *failure) whose() fault.Whose {
	switch f.kind {
	case KindKeyOrder, KindInvalid, KindSource, KindForbidden:
		return fault.Sluice
	case KindDamaged, KindDenied:
		return fault.Source
	default:
		return fault.Cluster
	}
}

// passes tells whether the failure may be over some time, whoever is to see to that.
func (f *failure) passes() bool {
	return f.whose() == fault.Cluster && f.kind != KindDiskFull && f.kind != KindRefused
}

// writeMarks are pieces of the text of TiKV's write errors, which arrive as
// gRPC status UNKNOWN with the debug form of a Rust enum. The first that
// matches counts. "staler" and "ahead" are what stores before 7.5 say.
var writeMarks = []struct {
	mark string
	kind Kind
}{
	{"RequestTooNew", KindRequestTooNew},
	{"RequestTooOld", KindRequestTooOld},
	{"DiskSpaceNotEnough", KindDiskFull},
	{"disk space not enough", KindDiskFull},
	{"strict ascending order", KindKeyOrder},
	{"InvalidKeyMode", KindInvalid},
	{"InvalidChunk", KindInvalid},
	{"IncompatibleApiVersion", KindRefused},
	{"is ahead of local region", KindRequestTooNew},
	{"is staler than local region", KindRequestTooOld},
	{"ResourceNotEnough", KindServerIsBusy},
	{"Suspended", KindServerIsBusy},
}

// classifyStatus turns the error of a call to a store into a failure. timeout
// is the kind for a call that ran out of its own time.
func classifyStatus(store uint64, err error, timeout Kind) *failure {
	f := &failure{kind: KindOther, store: store, cause: err}
	if errors.Is(err, context.DeadlineExceeded) {
		f.kind = timeout
		return f
	}
	switch s := status.Convert(err); s.Code() {
	case codes.DeadlineExceeded, codes.Canceled:
		f.kind = timeout
	case codes.Unavailable, codes.Internal, codes.Aborted:
		f.kind = KindTransport
	case codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated:
		f.kind = KindRefused
	default:
		f.kind = writeTextKind(s.Message())
	}
	return f
}

func writeTextKind(text string) Kind {
	for _, m := range writeMarks {
		if strings.Contains(text, m.mark) {
			return m.kind
		}
	}
	return KindOther
}

// classifyWriteText is for an error that a write's answer carries as text.
func classifyWriteText(store uint64, text string) *failure {
	return &failure{kind: writeTextKind(text), store: store, cause: errors.New(text)}
}

// classifyRegionError turns the region error in an ingest's answer into a
// failure. now is the region the request was made for.
func classifyRegionError(store uint64, e *errorpb.Error, now region.Region) *failure {
	f := &failure{store: store, cause: regionErrorText(e), kind: KindOther}
	switch {
	case e.NotLeader != nil:
		f.kind = KindNotLeader
		f.fresh = withLeader(now, e.NotLeader.GetLeader())
	case e.EpochNotMatch != nil:
		f.kind = KindEpochNotMatch
		f.fresh = withLeaderOn(e.EpochNotMatch.GetCurrentRegions(), store)
	case e.RegionNotFound != nil, e.StoreNotMatch != nil, e.MismatchPeerId != nil:
		f.kind = KindRegionNotFound
	case e.KeyNotInRegion != nil:
		f.kind = KindKeyNotInRegion
	case e.ServerIsBusy != nil:
		f.kind = KindServerIsBusy
		f.wait = time.Duration(e.ServerIsBusy.GetBackoffMs()) * time.Millisecond
	case e.StaleCommand != nil:
		f.kind = KindStaleCommand
	case e.ProposalInMergingMode != nil:
		f.kind = KindMerging
	case e.DiskFull != nil:
		f.kind = KindDiskFull
	case e.FlashbackInProgress != nil, e.RaftEntryTooLarge != nil:
		f.kind = KindRefused
	case e.ReadIndexNotReady != nil, e.RegionNotInitialized != nil, e.IsWitness != nil,
		e.MaxTimestampNotSynced != nil, e.RecoveryInProgress != nil, e.DataIsNotReady != nil:
		f.kind = KindNotReady
	case strings.Contains(e.Message, "proposal dropped"):
		f.kind = KindProposalDropped
	case strings.Contains(strings.ToLower(e.Message), "conflict"):
		f.kind = KindFileConflict
	}
	return f
}

// regionErrorText shows the message and the detail that was set. The
// generated String names all set fields.
func regionErrorText(e *errorpb.Error) error {
	return fmt.Errorf("region error: %s", strings.TrimSpace(e.String()))
}

// withLeader returns the region led by the peer that a not_leader answer
// named, if it is one of the region's peers.
func withLeader(r region.Region, leader *metapb.Peer) []region.Region {
	if leader.GetId() == 0 {
		return nil
	}
	for _, p := range r.Meta.GetPeers() {
		if p.GetId() == leader.GetId() && p.GetStoreId() == leader.GetStoreId() {
			return []region.Region{{Meta: r.Meta, Leader: p}}
		}
	}
	return nil
}

// withLeaderOn returns the regions of an epoch_not_match answer that have a
// peer on the store that sent it, taken as their leader: it led before, and a
// split does not move leaders.
func withLeaderOn(metas []*metapb.Region, store uint64) []region.Region {
	var out []region.Region
	for _, m := range metas {
		for _, p := range m.GetPeers() {
			if p.GetStoreId() == store {
				out = append(out, region.Region{Meta: m, Leader: p})
				break
			}
		}
	}
	return out
}

// holding returns the fresh region that holds the enc key.
func (f *failure) holding(enc []byte) (region.Region, bool) {
	for _, r := range f.fresh {
		if r.Contains(enc) {
			return r, true
		}
	}
	return region.Region{}, false
}
