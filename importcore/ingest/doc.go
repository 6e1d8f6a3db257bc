// Package ingest brings sorted key-value pairs into TiKV: ranges of the source
// become SSTs in the regions that hold them. Every error of a region is
// handled in one place, the state machine below.
//
// # One range
//
// A worker takes a range of the source and moves a cursor (a raw key) from
// its start to its end. Each round of the machine puts the pairs from the
// cursor up to the region's end, or up to the size of a region, into one SST:
//
//	    +-------------------------------------------------+
//	    v                                                 |
//	[ scan ] --region of the cursor--> [ write ] --files on every peer--> [ ingest ] --taken--> cursor moves
//	    ^                                 | ^                 | ^  |                     |
//	    +------- the region changed ------+ +-- files lost ---+ +--+ busy, no answer     +--> done at the range's end
//	                                                                                     +--> scan or write
//
// A region is written to through a stream to every peer, learners and TiFlash
// included, with the same bytes and a fresh uuid per attempt; only then the
// leader is asked to ingest, because a replica that applies the command
// without the file crashes. The epoch in the file's description pins the set
// of peers. An SST's range goes from its first to its last key, both
// inclusive, in enc form (see package region), and never leaves the region.
//
// # Files of an archive
//
// RunDownloads is the same machine for pairs that are in SSTs already (download.go). In place of a stream each
// peer gets a request to download the files of the range, to change their keys' prefixes and to keep what lies in
// the region. What it kept is the SST's range: enc keys whose last 8 bytes, a timestamp, are cut off.
//
// # Errors
//
// What follows when an error of a kind (see Kind) happens while writing or
// ingesting; while scanning everything but the failures means scanning again:
//
//	kind              in write   in ingest
//	other             scan       write
//	lookup            scan       scan
//	no_leader         scan       scan
//	request_too_new   write      scan        the store has to catch up with PD
//	request_too_old   scan       scan
//	transport         scan       ingest      after 20 in a row: scan
//	write_timeout     scan       scan
//	peers_differ      scan       scan
//	not_leader        scan *     scan *
//	epoch_not_match   scan *     scan *
//	region_not_found  scan       scan
//	key_not_in_region scan       scan
//	not_ready         scan       scan
//	proposal_dropped  scan       scan
//	server_is_busy    write      ingest      the files stay, nothing is sent again
//	stale_command     scan       write       the files are gone
//	merging           scan       write
//	file_conflict     write      write
//	disk_full, refused, key_order, invalid, source, forbidden, damaged, denied: fail
//
//	* write at once if the answer itself names a region that holds the cursor
//
// Between two tries the job waits with exponential back-off; a bounded number
// of errors in a row without an ingested SST ends the run. Files that were
// written and not ingested are left to TiKV, which removes them when their
// epoch is stale.
//
// A new leader is never asked to ingest files that the old one was asked to
// ingest: if the first command is still in the raft log, the second one would
// find the files gone when it is applied, and the store would crash. So
// not_leader always means new files. The price is one more write.
//
// # Pace
//
// Each store has a token bucket (limiter.go), which every message to it takes its bytes from.
// Options.WriteSpeedLimit fills all of them. With Options.Care a goroutine per store reads there a few times a second
// (care.go), and sets the store's bucket to what the answers allow (pace.go): halved while they are slow, raised
// by half when they are fast again, and never below a speed at which the run ends.
//
// # Why no pair is lost or doubled
//
// The cursor moves only after the leader said that it has applied the SST,
// and to the successor of the last key in it. A repeated SST holds the same
// keys with the same timestamp and value and therefore changes nothing. When
// the run ends, the pairs ingested are compared with the source's total.
package ingest
