# Blockers, dependencies, machines.
planner classic

== nothing is done to a blocked branch
pr 1; pr 2
block; tick; expect action BLOCKED; expect running none

== nothing is merged into a blocked branch
pr 1
tick; pass 1; block; tick; expect action BLOCKED; expect not merged

== it goes on when the blocker is gone
pr 1
tick; pass 1; block; tick; unblock; tick; expect merged 1

== what runs while it is blocked counts afterwards
pr 1; pr 2
tick; block; tick; pass 1,2; tick; unblock; tick; expect merged 1 2

== a block says who blocks
pr 1
block; tick; expect sentence Merging is blocked by #

== who depends on another one waits outside of the pool
pr 1; pr 2 depends 1
tick; expect pool 1; expect running 1; pass 1; tick; expect merged 1; tick; expect pool 2; expect running 2

== in a row
pr 1; pr 2 depends 1; pr 3 depends 2
settle; expect merged 1 2 3

== who depends on one that is closed is closed too
pr 1; pr 2 depends 1
close 1; tick; expect pool none

== tests wait for machines
capacity 1
pr 1; pr 2
tick 2; expect running 1,2 1; pass 1,2; tick; expect merged 1 2

== a batch that waits for a machine is a batch that runs
capacity 1
pr 1; pr 2; pr 3
limit 2
tick 3; expect batch-pending 1 2; expect idle

== all contexts must pass
contexts a b c
pr 1
tick; pass 1 a; tick; expect not merged; pass 1 b; tick; expect not merged; pass 1 c; tick; expect merged 1

== a batch of four and a fault in one of them is found by testing one after the other
pr 1; pr 2; pr 3 broken; pr 4
settle; expect merged 1 2 4; expect rejected 3

== sixteen and one that is broken
limit 4
pr 1; pr 2; pr 3; pr 4; pr 5; pr 6; pr 7 broken; pr 8; pr 9; pr 10; pr 11; pr 12; pr 13; pr 14; pr 15; pr 16
settle; expect rejected 7; expect merged 1 2 3 4 5 6 8 9 10 11 12 13 14 15 16
