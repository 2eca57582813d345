# Who comes first.
planner classic
limit -1

== the lowest number comes first
pr 4; pr 2; pr 9
tick; expect running 2

== a label of the priority goes before the number
priority urgent
pr 1; pr 2 label:urgent
tick; expect running 2

== entries in order
priority urgent / soon
pr 1; pr 2 label:soon; pr 3 label:urgent
tick; expect running 3; pass 3; tick; tick; expect running 2; pass 2; tick; tick; expect running 1

== within an entry the lowest number
priority urgent
pr 1; pr 3 label:urgent; pr 2 label:urgent
tick; expect running 2

== all labels of an entry are needed
priority urgent approved
pr 1; pr 2 label:urgent; pr 3 label:urgent label:approved
tick; expect running 3

== alternatives
priority urgent,hot
pr 1; pr 2 label:hot
tick; expect running 2

== labels do not care for case
priority Urgent
pr 1; pr 2 label:urgent
tick; expect running 2

== a label that comes later counts
priority urgent
pr 1; pr 2; pr 3
tick; pass 1; label 3 urgent; tick; expect merged 1; tick; expect running 3

== a label that goes does not
priority urgent
pr 1; pr 2 label:urgent
unlabel 2 urgent; tick; expect running 1

== what was started goes on
priority urgent
pr 1
tick; pr 2 label:urgent; tick; expect running 1; expect idle

== of those that passed the urgent one is merged first
priority urgent
pr 1 fresh; pr 2 fresh label:urgent
tick; expect action MERGE 2; expect merged 2

== priority does not make a batch
limit 2
priority urgent
pr 1; pr 2; pr 3 label:urgent
tick; expect running 1,2; tick; expect running 1,2 3

== an urgent one that cannot be merged does not stop others
priority urgent
pr 1 fresh; pr 2 fresh label:urgent
status 2 cla failure; tick; expect merged 1
