// Package censor removes secrets from what is stored.
//
// A Masker is an automaton made once from all secrets in all their forms. It
// masks what streams through it: every byte that belongs to any occurrence
// becomes an X, so sizes never change, wherever the borders of buffers fall.
// Because it sits in the stream to storage, files on disk stay as they are, and
// a file that changes while it is stored cannot slip through.
package censor
