// Package mkpj is the program that makes one ProwJob by hand: it looks a job up
// in the configuration, completes the refs from flags, the code host or the
// person at the terminal, in that order, and prints the object or runs it.
//
// Questions go to standard error, so that standard output is the object and
// nothing else.
package mkpj
