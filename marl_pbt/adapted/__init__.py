"""Any PettingZoo parallel environment as batched worlds: copies of it, stepped one after the other in Python.

`species.py` says which agent ids are of which species, `actions.py` what their actions look like, `copies.py` steps one
copy and keeps the books of its episode, `outcome.py` puts the copies' turns together, `state.py` writes and replays
their state, and `worlds.py` is the face that learners see.
"""

from marl_pbt.adapted.species import SpeciesTable, read_species
from marl_pbt.adapted.worlds import AdaptedWorlds

__all__ = ["AdaptedWorlds", "SpeciesTable", "read_species"]
