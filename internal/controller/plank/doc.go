// Package plank runs ProwJobs of the Kubernetes agent as pods.
//
// One job is handled at a time: the job and its pod are read, decide (a pure
// function, decide.go) says what follows, and the reconciler acts: it creates
// or deletes the pod and patches the job. Events only say which job to look at,
// so a lost, doubled or late event is harmless, and so is the death of the
// process between any two writes.
//
//	triggered ── pod made ──► pending ── pod ended ──► success, failure, error
//	    │                        │
//	    └── aborted by anybody ──┴─► pod deleted ──► complete
package plank
