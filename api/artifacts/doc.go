// Package artifacts describes what a run leaves in storage: the names, types
// and places of its files, for the programs that write and that read them.
//
// A run has one directory, see PathForSpec. Pointers lead to it: objects that
// name the latest build of a job, and one alias for each presubmit, by which
// its run is found without knowing the repository. Everything here is a pure
// function of the run and the storage settings.
package artifacts
