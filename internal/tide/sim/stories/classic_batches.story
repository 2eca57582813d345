# How batches are made and kept.
planner classic

== the limit bounds a batch
limit 2
pr 1; pr 2; pr 3; pr 4
tick; expect running 1,2

== the limit takes the lowest numbers
limit 3
pr 9; pr 4; pr 7; pr 2
tick; expect running 2,4,7

== no batch by a negative limit
limit -1
pr 1; pr 2
tick; expect action TRIGGER 1; expect running 1

== a limit of one makes no batch
limit 1
pr 1; pr 2
tick; expect running 1

== without a limit all are in
pr 1; pr 2; pr 3; pr 4; pr 5; pr 6; pr 7; pr 8
tick; expect running 1,2,3,4,5,6,7,8

== who conflicts is left out
pr 1; pr 2 conflicts-with 1; pr 3
tick; expect running 1,3

== who conflicts does not count for the limit
limit 2
pr 1; pr 2 conflicts-with 1; pr 3
tick; expect running 1,3

== where only one is left there is no batch
pr 1; pr 2 conflicts-with 1
tick; expect action TRIGGER 1; expect running 1

== who conflicts with the branch leaves the pool
pr 1; pr 2 conflicts-with 1
tick; pass 1; tick; expect merged 1; tick; expect pool none

== and comes back when that is resolved
pr 1; pr 2 conflicts-with 1
tick; pass 1; tick; push 2 good; tick; expect running 2; pass 2; tick; expect merged 1 2

== a batch goes on when others come
contexts unit e2e
pr 1; pr 2
tick; expect running 1,2; pass 1,2 unit; pr 3
tick; expect running 1,2@e2e 1; pass 1,2 e2e; tick; expect merged 1 2

== a failed job of a batch is started again beside those that passed
contexts unit e2e
pr 1; pr 2
tick; pass 1,2 unit; flake 1,2 e2e; pr 3
tick; expect action TRIGGER_BATCH 1 2; expect code continue-batch; expect running 1,2@e2e
pass 1,2 e2e; tick; expect merged 1 2

== unless new batches are asked for
batches new
contexts unit e2e
pr 1; pr 2
tick; pass 1,2 unit; flake 1,2 e2e; pr 3
tick; expect action TRIGGER_BATCH 1 2 3; expect running 1,2,3

== a batch that failed altogether is not continued
pr 1; pr 2
tick; flake 1,2; pr 3
tick; expect code new-batch; expect running 1,2,3

== the batch with more successes is continued
contexts unit e2e lint
pr 1; pr 2
tick; pass 1,2 unit lint; flake 1,2 e2e; tick; expect running 1,2@e2e

== a batch that passed on an older base is not merged
pr 1; pr 2
tick; pass 1,2; base-moved; tick; expect not merged; expect running 1,2

== a batch on an older base is not waited for
pr 1; pr 2
tick; base-moved; tick; expect action TRIGGER_BATCH 1 2; expect running 1,2 1,2

== a batch of more than the limit is not continued
contexts unit e2e
pr 1; pr 2; pr 3
tick; pass 1,2,3 unit; flake 1,2,3 e2e; limit 2; tick; expect running 1,2

== a batch needs the jobs of all its members
contexts unit e2e
pr 1 needs unit; pr 2 needs unit,e2e
tick; expect running 1,2; pass 1,2 unit; tick; expect not merged; pass 1,2 e2e; tick; expect merged 1 2

== a batch needs only the jobs of its members
contexts unit e2e
pr 1 needs unit; pr 2 needs unit
tick; pass 1,2 unit; tick; expect merged 1 2

== members come in the order of their numbers
pr 5; pr 3; pr 4
tick; pass 3,4,5; tick; expect merged 3 4 5

== two that break together are in no batch that passes
pr 1; pr 2 breaks-with 1
tick 2; fail 1,2; pass 1; tick; expect merged 1
tick; expect running 2; fail 2; tick; expect pool none; expect rejected 2

== the second of two that break each other is repaired
pr 1; pr 2 breaks-with 1
tick 2; fail 1,2; pass 1; tick; tick; fail 2; push 2 good; tick; pass 2; tick; expect merged 1 2

== everyone is merged in the end
pr 1; pr 2; pr 3; pr 4; pr 5
settle; expect merged 1 2 3 4 5

== everyone is merged in batches of two
limit 2
pr 1; pr 2; pr 3; pr 4; pr 5
settle; expect merged 1 2 3 4 5

== the good ones are merged, the broken ones are not
limit 2
pr 1; pr 2 broken; pr 3; pr 4 broken; pr 5
settle; expect merged 1 3 5; expect rejected 2 4

== a batch of members that left the pool is ignored
pr 1; pr 2; pr 3
tick; hold 3; tick; expect running 1,2,3 1,2; pass 1,2; tick; expect merged 1 2

== a batch counts again when its members are back
pr 1; pr 2
tick; hold 2; tick; release 2; pass 1,2; tick; expect merged 1 2

== a member that was closed
pr 1; pr 2; pr 3
tick; close 1; pass 1,2,3; tick; expect not merged; expect includes 2,3

== a batch that was forgotten is made again
pr 1; pr 2
tick; flake 1,2; expire; tick; expect running 1,2; expect code new-batch

== of two batches the one with more results is continued
contexts unit e2e lint
pr 1; pr 2
tick; pass 1,2 unit; flake 1,2 e2e lint; pr 3; hold 1
tick; expect running 2,3; pass 2,3 unit lint; flake 2,3 e2e; release 1; pr 4
tick; expect action TRIGGER_BATCH 2 3; expect running 2,3@e2e
