// Package config is the main configuration: what the files behind
// --config-path and --job-config-path say, read into one immutable snapshot.
//
// A load goes through four steps, each a pure function of the one before:
//
//	parse     files → raw sections and jobs, every value with its line
//	resolve   defaults, presets, decoration, derived indexes
//	validate  every rule; all problems of a load are reported together
//	publish   one atomic pointer is swapped (see package live)
//
// There is one file per section (plank.go, tide.go, deck.go, ...) holding its
// type, its defaults, its rules and its lookups; jobs.go holds the job types
// and the other files the shared rules: brancher.go, changes.go, trigger.go,
// rundecision.go, presets.go, matching.go.
//
// A *Config is shared between goroutines and must never be modified.
package config
