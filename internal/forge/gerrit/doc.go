// Package gerrit calls Gerrit's REST API, as far as reports and merging need it: it
// finds and reads changes, posts reviews, and submits. It also holds what is the
// same for everything that works with changes: the form of the report that is
// posted, because what the reporter writes is read back for /retest, and the refs,
// labels and annotations of jobs for changes.
//
// Only instances that the configuration lists are called: an annotation on a
// ProwJob must not send the cookie elsewhere.
package gerrit
