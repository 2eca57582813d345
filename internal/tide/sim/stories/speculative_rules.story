# What the speculative planner does by and large.
planner speculative
capacity 10

== an empty branch waits
tick; expect idle; expect running none

== one pull request is tested on the current base
pr 1
tick; expect action TRIGGER 1; expect running 1; expect reason 1 queued

== it is told that it is tested
pr 1
tick 2; expect reason 1 in-trial; expect idle

== and merged when it passes
pr 1
tick; pass 1; tick; expect action MERGE 1; expect code proven; expect merged 1

== all that may be expected to pass are tested together
pr 1; pr 2; pr 3; pr 4
tick; expect includes 1,2,3,4

== and are merged together
pr 1; pr 2; pr 3; pr 4
tick; pass 1,2,3,4; tick; expect action MERGE_BATCH 1 2 3 4; expect merged 1 2 3 4

== who comes later is tested on top of what is being tested
pr 1; pr 2
tick; pr 3; tick; expect includes 1,2 1,2,3

== and is merged right after it
pr 1; pr 2
tick; pr 3; tick; pass 1,2; tick; expect merged 1 2; pass 1,2,3; tick; expect merged 1 2 3

== no test is run again only because the base moved by what it holds
pr 1; pr 2
tick; pr 3; tick; pass 1,2; tick 3; expect merged 1 2; expect total 2

== a larger proof merges all at once
pr 1; pr 2
tick; pr 3; tick; pass 1,2,3; tick; expect merged 1 2 3

== what became useless is stopped
pr 1; pr 2
tick; pr 3; tick; pass 1,2,3; tick 2; expect running none

== a queue of ten is merged by few runs
pr 1; pr 2; pr 3; pr 4; pr 5; pr 6; pr 7; pr 8; pr 9; pr 10
settle; expect all-merged 1 2 3 4 5 6 7 8 9 10; expect total 3

== the batch limit is not its business
limit -1
pr 1; pr 2
tick; expect running 1,2

== a bound of pull requests is
pulls 2
pr 1; pr 2; pr 3; pr 4
tick; expect includes 1,2; settle; expect merged 1 2 3 4

== a pull request that requires nothing is merged at once
pr 1 requires-nothing
tick; expect merged 1

== statuses for the current base prove
pr 1 fresh
tick; expect merged 1

== sticky statuses hold for every base
pr 1 sticky; base-moved
tick; expect merged 1

== only what is missing is run
contexts unit e2e
pr 1; pr 2
tick; pass 1,2 unit; tick; expect not merged; expect includes 1,2@e2e; pass 1,2 e2e; tick; expect merged 1 2

== all contexts of all members must pass
contexts unit e2e
pr 1 needs unit; pr 2 needs unit,e2e
tick; pass 1,2 unit; tick; expect not merged; pass 1,2 e2e; tick; expect merged 1 2

== nothing is started twice
pr 1; pr 2
tick; tick; tick; tick; expect total 1

== nothing is done to a blocked branch
pr 1; pr 2
block; tick; expect action BLOCKED; expect reason 1 blocked; expect running none

== nothing is merged into a blocked branch
pr 1; pr 2
tick; pass 1,2; block; tick; expect action BLOCKED; expect not merged; unblock; tick; expect merged 1 2

== a context that fails keeps a pull request out
pr 1; pr 2
status 1 cla failure
tick; expect running 2; expect reason 1 not-retestable

== and lets it in when it passes
pr 1; pr 2
status 1 cla failure; tick; status 1 cla success; pass 2; tick; expect merged 2; settle; expect merged 2 1
