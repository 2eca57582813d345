// Package resultstore uploads finished ProwJobs to Google's ResultStore.
//
// A run becomes one invocation with the name of its ProwJob, holding the files of
// the run in GCS, one configuration, one target and one action. It is created,
// filled and finalised in two calls; whichever of them was done before a crash is
// found out and not repeated.
package resultstore
