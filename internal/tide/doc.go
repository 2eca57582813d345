// Package tide merges pull requests that are ready, testing them against the
// current base before.
//
// A round of the sync controller goes one way:
//
//	searches ─► candidates ─► pools ─► filter ─► snapshot ─► planner ─► checker ─► executor ─► verdicts
//	            (by branch)   (base,   (who may  (all that   (pure:     (pure: is   (starts     (where
//	                           jobs)    go on)    counts)     proposes)  it proven?)  jobs,      everyone is)
//	                                                                                  merges)
//
// A [Syncer] makes rounds: it searches what the queries of the configuration want,
// divides it by branch, finds out where each branch is and what each pull request
// requires, and leaves out those that wait for anything but their own tests. What
// is left is a snapshot. A planner of package planner, which the configuration chooses
// by branch, proposes what to do; it may ask what comes of merging combinations, and
// gets an answer by git. The checker of that package refuses a proposal that would merge
// what is not proven, whichever planner it is from. Package executor carries out the
// first proposal that is left, on a world (world.go) that is the pool here and a simulated
// one in package sim.
//
// Nothing is kept between rounds that the next could not find out, so a process may be
// killed anywhere: jobs have names that follow from what they test, merges name the head
// they are for, and the base is read again before. The speculative planner sees all runs
// of the branch as trials, by the tree that each has tested, and how the branch got from
// their bases to where it is by the history (speculation.go).
//
// What forges do differently is behind [Provider]: how pull requests are found, what
// their head and their base are, which jobs they need, and how one is merged.
//
// A round ends with a verdict on every candidate: those that were left out when they
// were filtered, the others by what the planner says once the outcome of the round is
// part of the snapshot (reasons.go). It is the one [Reason] that status, pages, log and
// metric show. [Statuses] is the status controller: it takes the verdicts from the
// [Board] and tells people by the status context "tide"; it judges by itself only those
// that no query wants.
//
// A round begins a sync period after the one before, and earlier when a job has
// ended and been reported: a merge need not wait for the next minute.
//
// What is done otherwise than in the system this one replaces:
//
//   - One unreadable base, one invalid context policy or one failed list of changed
//     files takes out one pool or one pull request, not everything.
//   - A pull request whose in-repo jobs are broken is told so by its status.
//   - A dry run starts no jobs and writes no history.
//   - Jobs that wait for a cluster are running, not failed.
//   - Before a merge the base is read again; where it moved, nothing is merged.
//   - Of several batches the same is always taken: the largest, then the one with
//     the lower numbers.
//   - What was merged is not taken for open because a search is behind.
//   - Required contexts of others, and results that statuses prove, count in the
//     status of a pull request as they do for its merge.
//   - A repository that allows a merge method is believed within a minute.
//   - A search of the status controller whose text has changed begins anew at once.
//   - The history is written when it has changed; gauges of pools that are gone go too.
package tide
