// Package store keeps rows that outlive a process: webhook deliveries and what
// became of them. It is an SQLite file by default.
//
// Writes of deliveries are committed in groups: callers that arrive while a
// commit is on its way share the next one, so that many deliveries a second cost
// few syncs of the disk, and each is on disk before its caller goes on.
package store
