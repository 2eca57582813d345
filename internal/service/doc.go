// Package service is what every long-running component shares: its command
// line, logging, health, metrics, profiling and shutdown.
//
// A component offers Options (Bind, Validate) and a Run function. Command makes
// a program of the two: it parses, validates, serves health, metrics and pprof,
// and cancels Run's context on SIGINT or SIGTERM. A program that hosts several
// components in one process calls the same Run functions with Runtimes of its own.
package service
