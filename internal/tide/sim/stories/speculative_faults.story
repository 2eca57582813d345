# Broken ones and flakes.
planner speculative
capacity 10

== one that is broken is rejected
pr 1 broken
settle; expect not merged; expect rejected 1; expect reason 1 ejected

== the others are merged
pr 1; pr 2 broken; pr 3
settle; expect all-merged 1 3; expect rejected 2

== a repaired one is merged
pr 1; pr 2 broken; pr 3
settle; push 2 good; settle; expect all-merged 1 2 3

== one that stays broken is rejected again
pr 1 broken
settle; push 1; settle; expect rejected 1; expect not merged

== two that break each other: one is merged
pr 1; pr 2 breaks-with 1
settle; expect merged 1; expect rejected 2

== two among others
pr 1; pr 2; pr 3; pr 4 breaks-with 2; pr 5; pr 6
settle; expect merged 1 2 3 5 6; expect rejected 4

== one that breaks with what was merged
pr 1; settle; pr 2 breaks-with 1; settle; expect merged 1; expect rejected 2

== a flake alone rejects nobody
pr 1
tick; flake 1; settle; expect merged 1; expect rejected none

== a flake of many rejects nobody
pr 1; pr 2; pr 3; pr 4
tick; flake 1,2,3,4; settle; expect rejected none

== a flake is found out by the same tree that passes
pr 1; pr 2
tick; flake 1,2; settle; expect merged 1 2; expect rejected none

== a flake in one of two contexts
contexts unit e2e
pr 1; pr 2
tick; pass 1,2 unit; flake 1,2 e2e; settle; expect merged 1 2; expect rejected none

== two that are broken
pr 1; pr 2 broken; pr 3; pr 4; pr 5 broken; pr 6
settle; expect rejected 2 5

== all are broken
pr 1 broken; pr 2 broken; pr 3 broken
settle; expect rejected 1 2 3; expect not merged

== sixteen and one that is broken
pr 1; pr 2; pr 3; pr 4; pr 5; pr 6; pr 7 broken; pr 8; pr 9; pr 10; pr 11; pr 12; pr 13; pr 14; pr 15; pr 16
settle; expect rejected 7

== sixteen, one that is broken and one machine
capacity 1
pr 1; pr 2; pr 3; pr 4; pr 5; pr 6; pr 7 broken; pr 8; pr 9; pr 10; pr 11; pr 12; pr 13; pr 14; pr 15; pr 16
settle; expect rejected 7

== a rejected one is tested again when its head changes
pr 1 broken
settle; expect rejected 1; tick; expect running none; push 1 good; tick; expect running 1

== the branch is broken by others and repaired
pr 1
base-broken; tick; fail 1; base-moved; settle; expect merged 1

== a job that hangs
deadline 2h
pr 1; pr 2
tick; wait 3h; tick 2; settle; expect merged 1 2

== what hangs is not waited for
deadline 2h
pr 1
tick; wait 3h; tick; expect includes 1; settle; expect merged 1
