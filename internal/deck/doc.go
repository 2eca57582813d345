// Package deck is the web front end: it shows ProwJobs, their logs and
// artifacts, what Tide is about to do and which commands there are.
//
// Everything that is shown about runs comes from one index (index.go) that a watch keeps
// current (feed.go); no request reads the cluster for a list. It has an entry of some 250
// bytes for each run in memory. Runs that have ended outlive the cluster in a store
// (keeper.go), from which the rest of them is read when it is shown (bodies.go). Pages are
// rendered here, completely and without a line of JavaScript; small modules in
// static/ only keep them current. A page and the compatible JSON are two views of
// the same index.
//
// What a viewer may see is decided in one place (visibility.go) and asked by every
// handler. Storage is reached only through runs: a request names a file of a run in
// a bucket of the configuration (place.go), never an arbitrary object. A log is read
// through source (log.go): the pod while there is one, shared between all who follow
// it (live.go), and storage afterwards (stored.go). What jobs wrote reaches a
// browser as text, escaped by ansi.go, or in a sandbox (artifacts.go).
package deck
