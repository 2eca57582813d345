# The rules of the classic planner, one after the other.
planner classic

== an empty branch waits
tick; expect idle; expect code nothing-required

== one pull request is tested again on the current base
pr 1
tick; expect action TRIGGER 1; expect code retest; expect running 1; expect missing 1

== and merged when it passes
pr 1
tick; pass 1; tick; expect action MERGE 1; expect code ready; expect merged 1

== it is not merged while it is tested
pr 1
tick; tick; expect idle; expect code tests-running; expect pending 1; expect not merged

== two pull requests make a batch
pr 1; pr 2
tick; expect action TRIGGER_BATCH 1 2; expect code new-batch; expect running 1,2

== one more is tested by itself beside the batch
pr 1; pr 2
tick 2; expect action TRIGGER 1; expect running 1,2 1

== only one is tested beside the batch
pr 1; pr 2; pr 3
tick 5; expect running 1,2,3 1; expect idle

== a batch that passed is merged
pr 1; pr 2
tick 2; pass 1,2; tick; expect action MERGE_BATCH 1 2; expect code batch-passed; expect merged 1 2

== a batch goes before a pull request that passed too
pr 1; pr 2; pr 3
tick 2; pass 1; pass 1,2,3; tick; expect merged 1 2 3

== a pull request that passed waits for the batch
pr 1; pr 2
tick 2; pass 1; tick; expect idle; expect code batch-running; expect not merged; expect success 1; expect batch-pending 1 2

== and is merged when the batch fails
pr 1; pr 2 broken
tick 2; pass 1; fail 1,2; tick; expect action MERGE 1; expect merged 1

== a batch that failed is followed by another one
pr 1; pr 2; pr 3
tick 2; flake 1,2,3; tick; expect action TRIGGER_BATCH 1 2 3; expect running 1,2,3 1

== nothing is started twice on one base
pr 1; pr 2
tick 6; expect total 2

== after a merge everything is tested on the new base
pr 1; pr 2; pr 3
limit -1
tick; pass 1; tick; expect merged 1
tick; expect action TRIGGER 2; expect running 2

== a new pull request does not disturb what runs
pr 1; pr 2
tick 2; pr 3; tick; expect idle; expect running 1,2 1

== a pull request that requires nothing is merged at once
pr 1 requires-nothing
tick; expect action MERGE 1; expect merged 1

== two that require nothing are merged one after the other
pr 1 requires-nothing; pr 2 requires-nothing
tick 2; expect merged 1 2

== one that requires nothing need not wait for the tests of others
pr 1; pr 2 requires-nothing
tick; expect merged 2

== a pull request of another number is no matter
pr 7; pr 12
tick; expect running 7,12; tick; expect running 7,12 7

== what fails by itself leaves the pool
pr 1 broken; pr 2
limit -1
tick; fail 1; tick; expect pool 2; expect running 2; expect rejected 1

== until it is repaired
pr 1 broken; pr 2
limit -1
tick; fail 1; tick; push 1 good; pass 2; tick; expect merged 2
tick; expect running 1; pass 1; tick; expect merged 2 1

== a flake puts it out of the pool until someone asks for another test
pr 1
tick; flake 1; tick; expect pool none; retest 1; tick; expect pool 1; expect pending 1
pass 1; tick; expect merged 1
