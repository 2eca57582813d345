// Package entry is the logic of entrypoint, which wraps the process of a test:
// it copies the output to a log, bounds the run time, passes signals on, and in
// the end writes a marker file with the exit code, for which sidecar waits.
//
// Whatever happens a marker is written; only its loss is an error of entrypoint
// itself. The process is the leader of its own group, so that everything it
// started ends with it. The package uses the standard library only, since
// entrypoint is copied into every test container.
package entry
