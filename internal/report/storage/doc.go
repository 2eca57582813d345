// Package storage writes what the cluster knows about a run beside its artifacts:
// prowjob.json always, and started.json and finished.json where the utilities in
// the pod have not, as in jobs without them and in pods that never started.
//
// A file that the utilities wrote is never touched. Both may write at the same
// moment; then the condition of the first write decides.
package storage
