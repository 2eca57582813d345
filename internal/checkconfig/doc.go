// Package checkconfig judges configuration before it is merged: the program
// `prow checkconfig`.
//
// It loads the main configuration, the jobs, the plugin configuration and, if
// asked, the jobs a repository brings; what does not load is an error. Then it
// runs checks, each of which is a line of one table (checks.go) and a function
//
//	loaded configuration → findings
//
// in a file named for what it is about. A finding has the place to mend and the
// name under which it can be switched off. Only the checks that must ask a
// forge or a bucket take a context and can fail.
package checkconfig
