"""The toy learner, of which one is ten times slower than the others: `tests.marl_pbt.slow_learner:kind`.

Its setting `slow` names a file; the member that makes it is the slow one.
"""

from __future__ import annotations

from pathlib import Path

from tests.marl_pbt.toy_learner import ToyKind


class SlowKind(ToyKind):
    """`LearnerKind`."""

    def describe(self, settings, interface):
        return super().describe(_toys(settings), interface)

    def build(self, settings, interface, worlds, seed):
        own = _toys(settings)
        if _is_first(Path(settings["slow"])):
            own["update_seconds"] = 10 * own["update_seconds"]
        return super().build(own, interface, worlds, seed)


def _toys(settings):
    return {key: value for key, value in settings.items() if key != "slow"}


def _is_first(path):
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


kind = SlowKind()
