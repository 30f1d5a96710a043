"""Weights taken in from zips that Stable-Baselines3 saved, also from strangers' zips.

Read `sb3_zip` first. Nothing of a file is run or unpickled, and neither torch nor Stable-Baselines3 gets to see it: the
pickle in it is read as a table of tensors (`pickles`), and the arrays are cut out of the bytes beside it (`archive`).
"""

from agents.ppo.importing.sb3_zip import import_sb3_zip

__all__ = ["import_sb3_zip"]
