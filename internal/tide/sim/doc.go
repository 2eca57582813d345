// Package sim plays a branch with its pull requests, tests and people in virtual
// time, and judges how a planner of the merge automation fares there.
//
// A [Scenario] says who comes and what goes wrong. [Run] plays it: the loop of the
// automation makes its rounds with the executor, tests take their time on a
// bounded number of machines, authors push and repair. Nothing is read from a
// clock and every lot is drawn from the seed, so that equal scenarios give equal
// reports. Lots that decide about a pull request or a test follow from its name
// rather than from the order of events, so that planners meet the same fate.
//
// The simulation knows the truth about every tree. It checks by itself, without
// the planner's own checker, that whatever is merged was proven, and that what is
// good gets merged in the end.
package sim
