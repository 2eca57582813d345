// Package plank runs ProwJobs of the Kubernetes agent as pods.
//
// One job is handled at a time: the job and its pod are read from caches, decide
// (a pure function, decide.go) says what follows, and where something does, the
// reconciler reads the job again from the API server, decides again, and acts:
// it creates or deletes the pod and patches the job, with its resource version
// as a precondition. Events only say which job to look at, so a lost, doubled or
// late event is harmless, and so is the death of the process between any two
// writes.
//
//	triggered ── pod made ──► pending ── pod ended ──► success, failure, error
//	    │                      │    ▲
//	    │                      └────┘ pod lost: counted, then made again
//	    └── aborted by anybody ──┴─► pod deleted ──► complete
//
// Who may start is decided by the ledger (ledger.go): counters of the active
// jobs, kept current by events and by the controller's own writes, in which a
// job reserves its place before its pod is made. Each build cluster has a queue
// and workers of its own (lanes.go), so that one that hangs slows no other.
package plank
