// Package spyglass decides what the page of a run shows of its files: which lenses
// are on it, in which order and for which files; where its links lead; what a request
// for a lens asks; and what an address names.
//
// It is pure: it reads no storage and no configuration. The pages of package deck do
// that, ask here, and serve what follows.
package spyglass
