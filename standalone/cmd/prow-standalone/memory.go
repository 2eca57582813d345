package main

import (
	"os"
	"runtime/debug"
	"time"
)

const (
	// While everything starts, memory is plenty and time is not.
	gcPercentStart = 200
	// Afterwards the heap is mostly caches that idle; twice over they would
	// not fit a laptop's budget.
	gcPercentIdle = 40

	settleTime = 10 * time.Second
)

// tuneStart and tuneIdle choose between speed and memory, unless the user has.
func tuneStart() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentStart)
	}
}

// tuneIdle is called once everything is ready.
func tuneIdle() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentIdle)
		debug.FreeOSMemory()
		// The API server goes on building its documents for a while.
		time.AfterFunc(settleTime, debug.FreeOSMemory)
	}
}
