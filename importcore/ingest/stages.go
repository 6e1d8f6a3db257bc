package ingest

// Stage is where the job of one region stands. See the package documentation
// for the machine.
type Stage uint8

// The stages of a region's job.
const (
	// StageScan looks up the region again from PD.
	StageScan Stage = iota + 1
	// StageWrite sends the pairs to every peer.
	StageWrite
	// StageIngest asks the leader to take the written files.
	StageIngest
	// StageDone means that the pairs are in the region.
	StageDone
	// StageFail ends the whole run.
	StageFail
)

// Kind classifies an error by what the machine does about it.
type Kind uint8
