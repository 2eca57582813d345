// Package sinker collects ProwJobs and pods that are no longer needed.
//
// A pass lists both once, decides (collect.go, pure) what goes and why, and
// deletes. A job that is not complete is never deleted, and neither is the pod
// of such a job: its controller would only make it again.
package sinker
