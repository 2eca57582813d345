# Who comes first, and who goes with whom.
planner speculative
capacity 10

== numbers
pulls 1
budget 1
pr 3; pr 1; pr 2
tick; expect running 1

== priority before numbers
pulls 1
budget 1
priority urgent
pr 1; pr 2 label:urgent
tick; expect running 2

== entries in order
pulls 1
budget 1
priority urgent / soon
pr 1; pr 2 label:soon; pr 3 label:urgent
settle; expect merged 3 2 1

== a label that comes later
pulls 1
budget 1
priority urgent
pr 1; pr 2; pr 3
tick; label 3 urgent; settle; expect merged 1 3 2

== who depends on another one comes after it
pr 1; pr 2 depends 1; pr 3
tick; expect includes 1,2,3; pass 1,2,3; tick; expect merged 1 2 3

== even with a lower number
pr 5
pr 2 depends 5
tick; expect includes 5,2; pass 5,2; tick; expect merged 5 2

== in a row
pr 3
pr 2 depends 3
pr 1 depends 2
settle; expect merged 3 2 1

== who depends on one that is held waits
pr 1; pr 2 depends 1; pr 3
hold 1; tick; expect running 3; expect reason 2 depends; pass 3; tick; expect merged 3
release 1; settle; expect merged 3 1 2

== who depends on one that is broken waits
pr 1 broken; pr 2 depends 1; pr 3
settle; expect merged 3; expect rejected 1; expect reason 2 depends

== until that is repaired
pr 1 broken; pr 2 depends 1; pr 3
settle; push 1 good; settle; expect merged 3 1 2

== who conflicts with one before it waits
pr 1; pr 2 conflicts-with 1; pr 3
tick; expect includes 1,3; expect reason 2 conflicts; pass 1,3; tick; expect merged 1 3

== and leaves the pool when that is merged
pr 1; pr 2 conflicts-with 1
settle; expect merged 1; expect pool none; push 2 good; settle; expect merged 1 2

== who conflicts with one that is broken goes on without it
pr 1 broken; pr 2 conflicts-with 1; pr 3
settle; expect all-merged 2 3; expect pool none

== an urgent one goes on top of what runs
priority urgent
pr 1; pr 2
tick; pr 3 label:urgent; settle; expect merged 1 2 3
