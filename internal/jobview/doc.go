// Package jobview follows the ProwJobs of a namespace and keeps of each only
// the few fields that periodics and collection are decided by.
//
// A ProwJob carries the whole specification of its pod. Controllers that only
// ask which job a run is of, when it began and how it ended would hold, for
// fifty thousand finished runs, a gigabyte to answer that. A Job is decoded
// from the same answers of the API server with all other fields skipped, and
// trimmed before it is kept.
package jobview
