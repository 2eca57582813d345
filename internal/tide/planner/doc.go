// Package planner decides what the merge automation does next to one branch.
//
// It is pure: a [Snapshot] holds everything the forge and the cluster say about
// the branch, and a planner such as [Classic] answers with a [Plan]. It does
// nothing itself, knows no clock and draws no lots: equal snapshots give equal
// plans. What cannot be known without trying, such as whether changes merge
// without a conflict, is left to the one who acts: a plan is a list of proposals
// of which the first that can be carried out counts.
package planner
