# The process is killed between any two steps.
planner classic

== before the base is read
pr 1
tick; pass 1; crash before base; tick; expect crashes 1; expect not merged; tick; expect merged 1

== after the base was read
pr 1
tick; pass 1; crash after base; tick; expect not merged; tick; expect merged 1

== before a merge
pr 1
tick; pass 1; crash before merge; tick; expect not merged; tick; expect merged 1

== after a merge
pr 1
tick; pass 1; crash after merge; tick; expect merged 1; tick; expect merged 1; expect idle

== before the first merge of a batch
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before merge; tick; expect not merged; tick; expect merged 1 2 3

== after the first merge of a batch
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash after merge; tick; expect merged 1; expect prefixes 1
tick; expect running 2,3; pass 2,3; tick; expect merged 1 2 3

== before the second merge of a batch
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before merge 2; tick; expect merged 1; tick; expect running 2,3

== between two merges
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash before pause; tick; expect merged 1; tick; expect running 2,3

== after the pause
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash after pause; tick; expect merged 1; tick; pass 2,3; tick; expect merged 1 2 3

== after the last merge of a batch
pr 1; pr 2; pr 3
tick; pass 1,2,3; crash after merge 3; tick; expect merged 1 2 3; expect prefixes 0

== before a batch is made
pr 1; pr 2
crash before pick; tick; expect running none; tick; expect running 1,2

== after a batch was made
pr 1; pr 2
crash after pick; tick; expect running none; tick; expect running 1,2

== before a job is started
pr 1
crash before start; tick; expect running none; tick; expect running 1

== after a job was started
pr 1
crash after start; tick; expect running 1; tick; expect total 1

== after a batch was started
pr 1; pr 2
crash after start; tick; expect running 1,2; tick; expect total 2

== again and again
pr 1; pr 2
crash before start; tick; crash after start; tick; crash after start; tick; pass 1,2
crash before merge; tick; crash after merge; tick; crash before start; tick; crash after start; tick
expect merged 1; expect running 2 1; expect crashes 7
