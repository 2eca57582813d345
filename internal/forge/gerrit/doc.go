// Package gerrit calls Gerrit's REST API, as far as reports need it: it reads a
// change and posts a review. It also holds the form of the report that is posted,
// because what the reporter writes is read back for /retest.
//
// Only instances that the configuration lists are called: an annotation on a
// ProwJob must not send the cookie elsewhere.
package gerrit
