// Package configtool answers questions about the configuration: `prow config
// explain` tells the effective value of a job or key and where each part of it
// was written, `prow config diff` what a change of the files means for the jobs.
//
// Neither is known to the loader. A value is explained by comparing what is in
// effect with what stands in the files: what a file has at the same path was
// written there, and the rest came from a preset, from a default entry or from
// the program, in the order in which the loader applies them.
package configtool
