"""`marl-pbt VERB …`: the same commands as `python -m marl_pbt.VERB …`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

VERBS = {
    "train": "train a population (python -m marl_pbt.train)",
    "evaluate": "let saved policies play each other, and rate them (python -m marl_pbt.evaluate)",
    "watch": "see them play, in a window or as a film (python -m marl_pbt.watch)",
    "lineage": "show who descends from whom, and the schedules that came of it (python -m marl_pbt.lineage)",
    "replay": "live through an ancestry, or its schedule, once more (python -m marl_pbt.replay)",
    "verify": "check a run's files, and say what to do (python -m marl_pbt.verify)",
    "export": "write a policy for other tools (python -m marl_pbt.export)",
    "import": "read weights from a Stable-Baselines3 zip (python -m marl_pbt.import)",
    "check_env": "check a PettingZoo parallel environment (python -m marl_pbt.check_env)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the verb's own command.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 the user's mistake, 128 + n stopped by signal n.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write("usage: marl-pbt VERB …\n\n")
        sys.stdout.writelines(f"  {verb:<10}{what}\n" for verb, what in VERBS.items())
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        sys.stderr.write(f"error: {verb}: no such command; there are {', '.join(VERBS)}\n")
        return 2
    code: int = importlib.import_module(f"marl_pbt.{verb}").main(rest)
    return code
