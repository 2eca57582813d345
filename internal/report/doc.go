// Package report is crier: it tells the world how ProwJobs fare.
//
// Each reporter has a controller of its own that looks at every job. What a
// reporter has already told about a job stands in the job itself
// (status.prev_report_states), so a lost event, a restart or a second replica
// can delay a report but neither lose nor repeat one that was recorded.
package report
