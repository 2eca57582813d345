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

