package sim

import "prow/internal/tide/planner"

// Contestant is a planner that scenarios are played with.
type Contestant struct {
	Name string
	Plan planner.Planner
	// Compatible planners go without speculation; see [Scenario].
	Compatible bool
}

// Contestants are all planners.
var Contestants = []Contestant{
	{Name: "classic", Plan: planner.Classic, Compatible: true},
	{Name: "speculative", Plan: planner.Speculative},
}
