// Package report is the loop that tells other places about ProwJobs.
//
// A Reporter tells one place. What it has told is recorded in the ProwJob, in
// status.prev_report_states under the reporter's name, so a state is reported
// once, whatever is restarted in between. The loop looks at a slim copy of every
// ProwJob (see Slimmer) to find those with a state that is not recorded, reads such
// a job as it is now, reports it and records the state that it reported.
//
// Errors are tried again without end, for the place may heal. Those that only a
// person can mend are marked with UserError: they are tried a few times, and then
// given up with the reason in an annotation of the ProwJob.
package report
