"""Cross-play: what a member's policies are worth against those of other members, not only beside their own partners.

A member's own episodes confound its skill with its partners' weakness. With `fitness: cross_play` a policy is scored in
matches at its ready points, against published policies of the other members and against past ones. To read in this
order: `meetings` (what a score is made of), `draw` (who is met), `archive` (past policies), `arena` (matches are
played), `challenge` (which policy is the best so far), `guests` (opponents in training worlds).
"""
