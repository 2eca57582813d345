# Which results count.
planner classic

== statuses for the current base prove
pr 1 fresh
tick; expect action MERGE 1; expect merged 1

== statuses for another base do not
pr 1 fresh; base-moved
tick; expect running 1

== sticky statuses hold for every base
pr 1 sticky; base-moved
tick; expect merged 1

== only the missing jobs are run
contexts unit e2e
pr 1
status 1 unit success base
tick; expect running 1@e2e; pass 1 e2e; tick; expect merged 1

== a job that passed is not run again when another one failed
contexts unit e2e
pr 1
tick; pass 1 unit; flake 1 e2e; retest 1; tick; expect running 1@e2e
pass 1 e2e; tick; expect merged 1

== results of another base are nothing
pr 1; pr 2
limit -1
tick; pass 1; base-moved; tick; expect running 1; expect not merged

== results of another head are nothing
pr 1
tick; pass 1; push 1; tick; expect running 1; expect not merged

== a run that goes on for an old head is not waited for
pr 1
tick; push 1; tick; expect running 1 1; expect missing 1

== a run that was forgotten counts by its status
pr 1
tick; pass 1; expire; tick; expect merged 1

== a run that is forgotten does not count without a status
pr 1; pr 2
tick; pass 1,2; expire; tick; expect running 1,2; expect not merged

== a context that fails keeps from merging
pr 1 fresh
status 1 cla failure
tick; expect idle; expect code not-green; expect not merged

== a context that is missing by policy too
pr 1 fresh
status 1 cla expected
tick; expect idle; expect not merged

== a pending context too
pr 1 fresh
status 1 cla pending
tick; expect idle; expect not merged

== an optional one does not
pr 1 fresh
status 1 cla failure optional
tick; expect merged 1

== its own context neither
pr 1 fresh
status 1 tide pending
tick; expect merged 1

== what is not green is not tested
pr 1; pr 2
status 1 cla failure
tick; expect running 2

== nor in a batch
pr 1; pr 2; pr 3
status 2 cla pending
tick; expect running 1,3

== if nobody is green nothing is tested
pr 1
status 1 cla failure
tick; expect idle; expect code not-retestable

== a run of its own does not make it less than green
pr 1; pr 2
tick 2; expect running 1,2 1; pr 3; flake 1,2; tick; expect running 1,2,3 1

== a context that becomes green lets it go on
pr 1 fresh
status 1 cla pending; tick; status 1 cla success; tick; expect merged 1

== jobs that only some need
contexts unit docs
pr 1 needs unit; pr 2 needs docs
limit -1
tick; expect running 1; pass 1 unit; tick; expect merged 1; tick; expect running 2

== what it tests again itself must be over before a merge
pr 1 fresh
status 1 extra pending retested; tick; expect not merged; expect code not-green

== a failed run is followed by another one when the head is green again
pr 1
tick; flake 1; status 1 test success; tick; expect action TRIGGER 1; expect running 1; expect missing 1
