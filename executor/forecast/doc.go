// Package forecast says how far a job is and when it will end. It knows nothing of
// imports: a job is a list of steps, each with a size in bytes, and it has no clock but
// the time that the steps say they took.
//
// # Where expectations come from
//
// The rest of the job is the rest of the step that is under way, at the speed that it shows,
// and the steps that come, at the best of what is known of them:
//
//   - the running step: what it did per second, lately. Before it has shown anything: what
//     earlier runs of this job had, and then as for steps that come;
//   - a step that comes: what this step took in jobs before (Learn), as a fixed time and a
//     time per byte, but never less than a speed limit lets it; without such jobs a
//     figure of its kind (defaults), which is only an assumption.
//
// # Percent
//
// It is the share of the job's time that has passed: time spent by time spent and expected rest. So it
// goes evenly in a job whose expectations are right, whatever its steps are. It
// never falls: when work was lost, or an expectation was too good, it goes on from where it is, at the pace at
// which it gets to 100 when the job is expected to end.
package forecast
