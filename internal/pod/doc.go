// Package pod turns a ProwJob into the pod that runs it.
//
// An undecorated job is its own pod with the variables of the job. A decorated
// one is surrounded by the pod utilities: clonerefs and initupload run before
// the test, entrypoint wraps each test container and marks its end in a file,
// and sidecar waits for these marks, censors and stores what the test left.
// The containers share emptyDir volumes: logs, tools and code.
//
// Build is a pure function, and its output is stable to the byte: installations
// select on it, compare it and patch it.
package pod
