// Package horologium starts periodic jobs when they are due.
//
// Every tick looks at the newest run of each periodic and decides (due.go,
// pure) whether a run is due, from that run and the clock alone; nothing is
// remembered that a restart could lose. The name of a run is made from its job
// and the slot it fills, so two ticks, two processes or a restart cannot start
// the same slot twice: the second creation is refused by the API server.
package horologium
