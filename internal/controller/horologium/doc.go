// Package horologium starts periodic jobs when they are due.
//
// Every tick looks at the newest run of each periodic and decides (due.go,
// pure) whether a run is due, from that run and the clock alone; what is
// remembered beside them (since when a job is known, which clock was wrong) may
// be lost. The name of a run is made from its job and the slot it fills, so two
// ticks, two processes or a restart cannot start the same slot twice: the
// second creation is refused by the API server.
//
// calendar.go knows what slots are where clocks are set forward and back, and
// spreads jobs of one slot; history.go reads past runs from a clock that may
// have been wrong.
package horologium
