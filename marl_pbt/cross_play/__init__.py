"""Cross-play: what a member's policies are worth against those of other members, not only beside their own partners.

A member's own episodes confound its skill with its partners' weakness. With `fitness: cross_play` a policy is scored in
matches at its ready points, against policies of the other members as they were a ready point earlier and against
older ones. To read in this order: `match` (what a score is made of), `draw` (who is met), `at_ready_point` (what a
member does), `challenge` (which policy is the best so far), `archive`, `arena`, `hall` (where policies lie and play),
`payoffs` (what people see of it), `planning` (what is checked before a run).
"""
