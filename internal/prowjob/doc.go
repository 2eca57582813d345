// Package prowjob makes ProwJobs from configuration and refs, and answers
// questions about lists of them.
//
// A configured job plus the code to test gives a spec (PresubmitSpec,
// PostsubmitSpec, PeriodicSpec, BatchSpec); a spec plus labels and annotations
// gives an object (New). Everything is a pure function of its arguments,
// except that New draws a name and reads the clock. Nothing in a result is
// shared with the configuration.
package prowjob
