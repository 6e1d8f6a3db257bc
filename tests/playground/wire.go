package playground

import "github.com/sluicedb/sluice/tests/playground/fault"

// Ready is the one line that the playground program prints on its standard
// output when the cluster accepts connections. All addresses are host:port.
type Ready struct {
	PD         string `json:"pd"`
	TiDB       string `json:"tidb"`
	TiDBStatus string `json:"tidb_status"`
	// TiDB2 is another address of the same TiDB, which can be away on its own.
	TiDB2   string  `json:"tidb2"`
	Stores  []Store `json:"stores"`
	Control string  `json:"control"`
	PID     int     `json:"pid"`
	Dir     string  `json:"dir"`
}

// Store is one TiKV store.
type Store struct {
	ID uint64 `json:"id"`
	// Addr serves gRPC (Tikv, ImportSST), Status HTTP.
	Addr   string `json:"addr"`
	Status string `json:"status"`
}

// The paths of the control port and their bodies, all JSON. An answer other
// than 200 carries {"error": text}.
const (
	// PathFaults: GET -> []fault.Hit, POST fault.Rule adds one, DELETE removes
	// all, or with ?rpc=name those for that RPC.
	PathFaults = "/faults"
	// PathLeaderAway: POST LeaderAway.
	PathLeaderAway = "/pd/leader-away"
	// PathDoor: POST Door.
	PathDoor = "/door"
	// PathState: GET -> State.
	PathState = "/state"
	// PathSplit: POST Split -> SplitResult.
	PathSplit = "/split"
	// PathTransferLeader: POST TransferLeader.
	PathTransferLeader = "/transfer-leader"
)

// LeaderAway takes PD's leader away or brings it back.
type LeaderAway struct {
	Away bool `json:"away"`
}

// Door makes parts of the cluster away, hang, or be back: see package door.
type Door struct {
	Part Part `json:"part"`
	// Store is one of the stores, 0 all of them; for PartStore only.
	Store uint64 `json:"store,omitempty"`
	// State is "away", "hanging" or "open".
	State string `json:"state"`
}

// Part is a part of the cluster that can be away.
type Part string

// The parts. PartTiDB2 is TiDB as seen at Ready.TiDB2.
const (
	PartPD    Part = "pd"
	PartStore Part = "store"
	PartTiDB  Part = "tidb"
	PartTiDB2 Part = "tidb2"
)

// Split cuts regions at raw keys (as TiDB encodes them, not memcomparable),
// each in hexadecimal.
type Split struct {
	Keys []string `json:"keys"`
}

// SplitResult lists the new regions.
type SplitResult struct {
	Regions []uint64 `json:"regions"`
}

// TransferLeader makes the peer on a store lead a region.
type TransferLeader struct {
	Region uint64 `json:"region"`
	Store  uint64 `json:"store"`
}

// ControlError is the body of an answer that is not 200.
type ControlError struct {
	Error string `json:"error"`
}

// State is what clients have left behind in the cluster, as far as PD's own
// HTTP API does not tell it.
type State struct {
	Stores []StoreState `json:"stores"`
	// Violations are requests that would have crashed a TiKV or damaged its
	// data. A test that ends with any has found a defect.
	Violations []string `json:"violations"`
	// Regions is the number of regions.
	Regions int `json:"regions"`
}

// StoreState is the state of one store.
type StoreState struct {
	ID uint64 `json:"id"`
	// ImportMode tells whether the store is in import mode.
	ImportMode bool `json:"import_mode"`
	// SpeedLimit is the download speed limit in bytes per second, 0 for none.
	SpeedLimit uint64 `json:"speed_limit"`
	// Leaders is the number of regions that the store leads.
	Leaders int `json:"leaders"`
	// Written is the number of SSTs that were completely written to the store, or
	// downloaded by it, so far, Ingested that of requests to it that have brought some in.
	Written  int64 `json:"written"`
	Ingested int64 `json:"ingested"`
	// Compacted are the ranges of raw keys, the ends exclusive, that the store was asked to compact; empty keys are the store's ends.
	Compacted [][2][]byte `json:"compacted"`
}

// FaultHit is a rule and how often it has fired.
type FaultHit = fault.Hit
