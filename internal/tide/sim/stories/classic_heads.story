# Heads and bases that move.
planner classic

== a push starts over
pr 1
tick; pass 1; push 1; tick; expect not merged; expect running 1; pass 1; tick; expect merged 1

== a push makes a batch worthless
pr 1; pr 2
tick; push 2; pass 1,2; tick; expect not merged; expect running 1,2

== a push while the batch runs lets another one begin
pr 1; pr 2
tick; push 2; tick; expect action TRIGGER_BATCH 1 2; expect running 1,2 1,2

== a push while it is being merged
pr 1
tick; pass 1; push-during-merge 1; tick; expect not merged; expect failed 1; expect action MERGE 1

== the others of a batch are merged nevertheless
allow untested
pr 1; pr 2; pr 3
tick; pass 1,2,3; push-during-merge 1; tick; expect merged 2 3; expect failed 1; expect untested 1

== the new head is tested
allow untested
pr 1; pr 2
tick; pass 1,2; push-during-merge 1; tick; expect merged 2; tick; expect running 1; pass 1; tick; expect merged 2 1

== the base moves while a pull request is tested
pr 1
tick; base-moved; pass 1; tick; expect running 1; expect not merged

== the base moves between a result and the merge
pr 1
tick; pass 1; base-moved; tick; expect not merged; expect running 1

== the base moves twice
pr 1; pr 2
tick; base-moved; tick; base-moved; tick; expect running 1,2 1,2 1,2

== the branch is broken by others
pr 1
base-broken; tick; fail 1; tick; expect not merged; expect rejected 1

== and passes again
pr 1
base-broken; tick; base-moved; tick; pass 1; tick; expect merged 1

== a pull request that comes back
pr 1; pr 2
limit -1
hold 1; tick; expect running 2; release 1; tick; expect idle; pass 2; tick; expect merged 2; tick; expect running 1

== results survive an absence
pr 1; pr 2
limit -1
tick; pass 1; hold 1; tick; expect running 2; release 1; tick; expect merged 1

== a pull request that is closed
pr 1; pr 2
limit -1
tick; close 1; tick; expect running 1 2
