# Heads, bases, refusals and crashes.
planner speculative
capacity 10

== a push starts over
pr 1
tick; pass 1; push 1; tick; expect not merged; expect includes 1; settle; expect merged 1

== a push makes a combination worthless
pr 1; pr 2
tick; push 2; tick; expect not merged; settle; expect merged 1 2

== a combination of an old head is stopped
pr 1; pr 2
tick; push 2; tick; tick; pr 3; expect runs 1

== a push while it is being merged
pr 1
tick; pass 1; push-during-merge 1; tick; expect not merged; settle; expect merged 1

== others of a proof are not merged without it
pr 1; pr 2; pr 3
tick; pass 1,2,3; push-during-merge 1; tick; expect not merged; settle; expect all-merged 1 2 3

== what comes before it is
pr 1; pr 2; pr 3
tick; pass 1,2,3; push-during-merge 2; tick; expect merged 1; settle; expect all-merged 1 2 3

== the base moves by others
pr 1; pr 2
tick; pass 1,2; base-moved; tick; expect not merged; settle; expect merged 1 2

== the base moves while tests run
pr 1; pr 2
tick; base-moved; pass 1,2; tick; expect not merged; settle; expect merged 1 2

== one that the forge refuses does not stop others
pr 1; pr 2; pr 3
merge-refused 2 refused
settle; expect merged 1 3; expect reason 2 refused

== nor does the first
pr 1; pr 2; pr 3
merge-refused 1 refused
settle; expect merged 2 3; expect reason 1 refused

== nor one that stops a batch
pr 1; pr 2; pr 3
merge-refused 1 unauthorized
settle; expect merged 2 3; expect reason 1 refused

== a refusal is forgotten after a while
pr 1; pr 2
merge-refused 1 refused
settle; expect merged 2; merge-allowed 1; wait 2h; settle; expect merged 2 1

== a refusal is forgotten by a restart
pr 1; pr 2
merge-refused 1 refused
settle; expect merged 2; merge-allowed 1; restart; settle; expect merged 2 1

== a new head may be merged
pr 1; pr 2
merge-refused 1 refused
settle; expect merged 2; push 1 good; settle; expect merged 2 1

== a forge that merges and does not say so
pr 1; pr 2; pr 3
tick; pass 1,2,3; fault after merge; tick; settle; expect merged 1 2 3

== a forge that fails once
pr 1; pr 2
tick; pass 1,2; fault before merge; tick; expect not merged; settle; expect merged 1 2

== it cannot be found out what goes together
pr 1; pr 2
fault before try; tick; expect idle; expect running none; tick; expect includes 1,2

== a test cannot be started
pr 1; pr 2
fault before start; tick; expect running none; tick; expect includes 1,2

== a test was started and nobody said so
pr 1; pr 2
fault after start; tick; expect running 1,2; tick; expect total 1

== killed before a merge
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before merge; tick; expect not merged; tick; expect merged 1 2 3; expect total 1

== killed after the first merge
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash after merge; tick; expect merged 1; tick; expect merged 1 2 3; expect total 1

== killed before the second merge
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before merge 2; tick; expect merged 1; tick; expect merged 1 2 3; expect total 1

== killed between two merges
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before pause; tick; expect merged 1; tick; expect merged 1 2 3; expect total 1

== killed after the last merge
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash after merge 3; tick; expect merged 1 2 3; tick; expect idle; expect total 1

== killed while it asks
pr 1; pr 2
crash before try; tick; tick; expect includes 1,2

== killed after it asked
pr 1; pr 2
crash after try; tick; tick; expect includes 1,2

== killed before a test is started
pr 1; pr 2
crash before start; tick; expect running none; tick; expect includes 1,2

== killed after a test was started
pr 1; pr 2
crash after start; tick; expect running 1,2; tick; expect total 1

== killed before the base is read
pr 1
tick; pass 1; crash before base; tick; expect not merged; tick; expect merged 1

== killed again and again
pr 1; pr 2; pr 3
crash before try; tick; crash after start; tick; pass 1,2,3; crash before merge; tick; crash after merge; tick; crash after pause; tick; tick
expect merged 1 2 3; expect total 1

== the jobs are forgotten
pr 1; pr 2
tick; pass 1,2; expire; tick; expect not merged; settle; expect merged 1 2
