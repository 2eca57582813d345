// Package node is a Kubernetes node that runs pods on this machine.
//
// virtual-kubelet's node package registers the node, keeps its lease and tells
// this package which pods to run and to end; a loop of our own binds pods to
// the node. One runner per pod then does what a kubelet does: volumes, init
// containers in order, containers side by side, environment, logs, grace
// periods, and a status with the phases, reasons and conditions that
// controllers decide by. How a container becomes processes is up to an
// executor.Executor.
//
//	API server ── pods ──► scheduler (binds), provider ──► runner ──► executor
//	     ▲                                                   │
//	     ├──────────────── status, deletion ─────────────────┘
//	     └── logs ◄── endpoint ◄── log files
//
// What a pod needs on disk is below DIR/pods/<uid> and goes with the pod. A pod
// whose container was started there is never started again: when the program
// comes back, such a pod has failed with the reason NodeLost.
package node
