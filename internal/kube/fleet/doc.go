// Package fleet keeps the build clusters: for each context of the kubeconfig
// files a client, a cache of pods and a state of health. Files may appear,
// change, break and heal at run time; only the clusters that a change concerns
// are made anew, and a file that cannot be read changes nothing.
//
//	            file names it          access review passes
//	(unknown) ───────────────► Down ◄──────────────────────► Up
//	    ▲                        │      review fails
//	    └── no file names it, for a minute
//
// Every cluster is looked after by a goroutine of its own and every request has
// a time limit, so a cluster that hangs harms no other.
package fleet
