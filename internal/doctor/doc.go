// Package doctor is `prow doctor`: it examines a running installation from the
// outside, as its components meet it, and says of everything that is not well what
// to mend.
//
// An examination is a function that asks one part of the world and returns findings.
// Examinations do not depend on each other, run at the same time, and each has a time
// limit; what cannot be examined because something else is missing is told as left out,
// never passed over. Nothing is changed but one object in each bucket, which is written
// to see that it can be, and removed.
package doctor
