"""A classifier of handwritten digits whose learning rate, weight decay and width evolve: `agents.digits:kind`.

No reinforcement learning: an update is some minibatches, an "episode return" the accuracy in one batch of validation
examples. Read next: `learner.py`, then `agents/widening.py`, by which weights outlive a change of width.
"""

from agents.digits.kind import kind

__all__ = ["kind"]
