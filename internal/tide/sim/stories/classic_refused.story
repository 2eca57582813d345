# What the forge refuses.
planner classic

== one that may not be merged
pr 1
merge-refused 1 refused
tick; pass 1; tick; expect action MERGE 1; expect failed 1; expect not merged

== it is tried again
pr 1
merge-refused 1 refused
tick; pass 1; tick; merge-allowed 1; tick; expect merged 1

== others of the batch are merged
allow untested
pr 1; pr 2; pr 3
merge-refused 2 refused
tick; pass 1,2,3; tick; expect failed 2; expect merged 1 3; expect untested 1

== if the first is refused the rest is still merged
allow untested
pr 1; pr 2; pr 3
merge-refused 1 refused
tick; pass 1,2,3; tick; expect failed 1; expect merged 2 3

== if the last is refused the others are merged
pr 1; pr 2; pr 3
merge-refused 3 refused
tick; pass 1,2,3; tick; expect failed 3; expect merged 1 2; expect prefixes 1

== who may not push to the branch need not try again
pr 1; pr 2; pr 3
merge-refused 2 unauthorized
tick; pass 1,2,3; tick; expect failed 2; expect merged 1; expect prefixes 1

== a forge that fails once
pr 1
tick; pass 1; fault before merge; tick; expect failed 1; expect not merged; tick; expect merged 1

== a forge that merges and does not say so
pr 1
tick; pass 1; fault after merge; tick; expect failed 1; expect merged 1; tick; expect idle; expect merged 1

== a forge that merges a member and does not say so
pr 1; pr 2; pr 3
tick; pass 1,2,3; fault after merge 2; tick; expect failed 2; expect merged 1 2 3

== the base cannot be read
pr 1
tick; pass 1; fault before base; tick; expect idle; expect code base-unknown; tick; expect merged 1

== no batch can be made
pr 1; pr 2
fault before pick; tick; expect idle; expect code batch-failed; expect error the forge does not answer; tick; expect running 1,2

== a job cannot be started
pr 1
fault before start; tick; expect error does not answer; expect running none; tick; expect running 1

== a job was started and nobody said so
pr 1
fault after start; tick; expect error does not answer; expect running 1; tick; expect total 1

== a batch was started and nobody said so
pr 1; pr 2
fault after start; tick; expect running 1,2; tick; tick; expect total 2
