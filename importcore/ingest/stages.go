package ingest

// Stage is where the job of one range stands. See the package documentation
// for the machine.
type Stage uint8

// The stages of a job.
const (
	// StageScan looks up the region of the job's next key from PD.
	StageScan Stage = iota + 1
	// StageWrite sends the pairs to every peer of the region, or has each peer download them.
	StageWrite
	// StageIngest asks the leader to take the written files.
	StageIngest
	// StageDone means that all pairs of the range are in the cluster.
	StageDone
	// StageFail ends the whole run.
	StageFail
)

// String returns the word for logs and metrics.
func (s Stage) String() string {
	switch s {
	case StageScan:
		return "scan"
	case StageWrite:
		return "write"
	case StageIngest:
		return "ingest"
	case StageDone:
		return "done"
	case StageFail:
		return "fail"
	default:
		return "unknown"
	}
}

// Kind classifies an error by what the machine does about it.
type Kind uint8

// The kinds of errors.
const (
	// KindOther is an answer that none of the other kinds fits.
	KindOther Kind = iota
	// KindLookup: PD or the address of a store could not be had.
	KindLookup
	// KindNoLeader: the region has no leader that is known, or the leader's
	// answer to a write named no file.
	KindNoLeader
	// KindRequestTooNew: the store is behind what PD told; it has to catch up.
	KindRequestTooNew
	// KindRequestTooOld: the region changed or left the store.
	KindRequestTooOld
	// KindTransport: no answer, or a broken connection.
	KindTransport
	// KindWriteTimeout: a write of one SST to all peers took too long.
	KindWriteTimeout
	// KindPeersDiffer: two peers answered the same write with different files.
	KindPeersDiffer
	// KindNotLeader: another peer leads.
	KindNotLeader
	// KindEpochNotMatch: the region was split or merged, or its peers changed.
	KindEpochNotMatch
	// KindRegionNotFound: the store has no such region, or another one.
	KindRegionNotFound
	// KindKeyNotInRegion: the region is too small for the SST by now.
	KindKeyNotInRegion
	// KindNotReady: the peer can't answer yet.
	KindNotReady
	// KindProposalDropped: raft dropped the command before it was logged.
	KindProposalDropped
	// KindServerIsBusy: the store asks for a pause; nothing happened.
	KindServerIsBusy
	// KindStaleCommand: the files are not there any more, possibly because an
	// ingest whose answer was lost has taken them.
	KindStaleCommand
	// KindMerging: the region is being merged.
	KindMerging
	// KindFileConflict: another request works on the same file.
	KindFileConflict
	// KindDiskFull: a store ran out of space.
	KindDiskFull
	// KindRefused: the cluster says that it will never do this.
	KindRefused
	// KindKeyOrder: the pairs were not in strictly ascending order.
	KindKeyOrder
	// KindInvalid: the store could not understand a message.
	KindInvalid
	// KindSource: the pairs could not be read.
	KindSource
	// KindForbidden: Options.Permit said no.
	KindForbidden
	// KindDamaged: a store can't use a file that it was to download.
	KindDamaged
	// KindDenied: a store may not read a file that it was to download.
	KindDenied

	kindCount
)

var kindNames = [kindCount]string{
	KindOther: "other", KindLookup: "lookup", KindNoLeader: "no_leader",
	KindRequestTooNew: "request_too_new", KindRequestTooOld: "request_too_old",
	KindTransport: "transport", KindWriteTimeout: "write_timeout", KindPeersDiffer: "peers_differ",
	KindNotLeader: "not_leader", KindEpochNotMatch: "epoch_not_match",
	KindRegionNotFound: "region_not_found", KindKeyNotInRegion: "key_not_in_region",
	KindNotReady: "not_ready", KindProposalDropped: "proposal_dropped",
	KindServerIsBusy: "server_is_busy", KindStaleCommand: "stale_command",
	KindMerging: "merging", KindFileConflict: "file_conflict", KindDiskFull: "disk_full",
	KindRefused: "refused", KindKeyOrder: "key_order", KindInvalid: "invalid", KindSource: "source",
	KindForbidden: "forbidden", KindDamaged: "damaged", KindDenied: "denied",
}

// String returns the label that metrics and logs use.
func (k Kind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return "unknown"
}

// reactions is the machine: what follows when an error of a kind happens in
// a stage. It is the same table as in the package documentation. Every kind
// has an entry for every stage: one that can't happen there still must not
// lose pairs, so it goes back to a scan.
var reactions = [kindCount]struct{ scan, write, ingest Stage }{
	KindOther:           {StageScan, StageScan, StageWrite},
	KindLookup:          {StageScan, StageScan, StageScan},
	KindNoLeader:        {StageScan, StageScan, StageScan},
	KindRequestTooNew:   {StageScan, StageWrite, StageScan},
	KindRequestTooOld:   {StageScan, StageScan, StageScan},
	KindTransport:       {StageScan, StageScan, StageIngest},
	KindWriteTimeout:    {StageScan, StageScan, StageScan},
	KindPeersDiffer:     {StageScan, StageScan, StageScan},
	KindNotLeader:       {StageScan, StageScan, StageScan},
	KindEpochNotMatch:   {StageScan, StageScan, StageScan},
	KindRegionNotFound:  {StageScan, StageScan, StageScan},
	KindKeyNotInRegion:  {StageScan, StageScan, StageScan},
	KindNotReady:        {StageScan, StageScan, StageScan},
	KindProposalDropped: {StageScan, StageScan, StageScan},
	KindServerIsBusy:    {StageScan, StageWrite, StageIngest},
	KindStaleCommand:    {StageScan, StageScan, StageWrite},
	KindMerging:         {StageScan, StageScan, StageWrite},
	KindFileConflict:    {StageScan, StageWrite, StageWrite},
	KindDiskFull:        {StageFail, StageFail, StageFail},
	KindRefused:         {StageFail, StageFail, StageFail},
	KindKeyOrder:        {StageFail, StageFail, StageFail},
	KindInvalid:         {StageFail, StageFail, StageFail},
	KindSource:          {StageFail, StageFail, StageFail},
	KindForbidden:       {StageFail, StageFail, StageFail},
	KindDamaged:         {StageFail, StageFail, StageFail},
	KindDenied:          {StageFail, StageFail, StageFail},
}

// sameIngestTries is how often the same ingest is sent again after a lost
// answer before the pairs are written anew.
const sameIngestTries = 20

// react returns the stage that follows an error. freshRegion says that the
// answer itself brought a region that holds the job's next key, which makes a
// look-up needless; repeats counts the errors in a row in StageIngest.
func react(at Stage, kind Kind, freshRegion bool, repeats int) Stage {
	var next Stage
	switch r := reactions[kind]; at {
	case StageWrite:
		next = r.write
	case StageIngest:
		next = r.ingest
	default:
		next = r.scan
	}
	if next == StageIngest && kind == KindTransport && repeats >= sameIngestTries {
		next = StageScan
	}
	if next == StageScan && freshRegion {
		next = StageWrite
	}
	return next
}
