// Package upload stores the output of a run.
//
// A Run is made from what a utility was told. It stores in two rounds: first
// the pointers to the run and the items, which are files and directories of the
// test; then what the utility itself has to say, so that finished.json can tell
// how the first round went. Every object is tried on its own: one that fails is
// named in the error, and holds up no other.
//
// The files come from the test and are not to be trusted: links do not lead out
// of the directory they lie in, and nothing but regular files is opened.
package upload
