// Package checkpoint says what an import has done so far, in a form that another
// process can go on from.
//
// # What is kept
//
// A State has these parts, each of which only grows:
//
//   - Basis: what the work depends on, as digests: source files, table, options.
//     A job goes on only if all of it is still the same.
//   - Encoded: how far the source has been read, and the runs in the sort directory
//     that hold the pairs of everything before that place. The place lies between two rows.
//   - Ingest: set before the first pair is sent. From then on the pairs have their
//     commit timestamp and their sum, and the key ranges that are in the cluster for good are noted.
//   - Rounds: of a job that may not have as much disk as its pairs need. When a round is over, Encoded
//     and Ingest begin anew behind it, in one step with its coming here.
//
// # What may be lost
//
// Runs lie on one machine. Without them the source is encoded again from its
// beginning. That gives the same pairs, because rows are numbered in the order of the
// files and a job has one NOW(); pairs that were sent already are sent again with the
// same commit timestamp, which changes nothing. Only a job whose expressions draw a new value each
// time (RAND, UUID, sequences) can't do that once pairs were sent; it notices by their sum.
// With rounds all of this is about the present one: it is encoded again from where it begins, and, once
// pairs of it were sent, up to where it ended then.
//
// # Form
//
// JSON with a version, packed with gzip. A State of another version is refused; those
// with rounds have one of their own.
package checkpoint
