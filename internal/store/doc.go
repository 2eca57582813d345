// Package store keeps rows that outlive a process: webhook deliveries and what
// became of them, runs of jobs that have ended (runs.go) with the results of their tests
// (testresults.go), and what was once read in storage (remembered.go). It is an SQLite file by default, and a PostgreSQL database
// where several replicas share it; both have one schema (see dialect.go).
//
// Writes of deliveries are committed in groups: callers that arrive while a
// commit is on its way share the next one, so that many deliveries a second cost
// few syncs of the disk, and each is on disk before its caller goes on.
//
// A delivery that is being handled has an owner, a process, for a limited time,
// which the owner extends. Of one that dies the deliveries become free when that
// time is over.
package store
