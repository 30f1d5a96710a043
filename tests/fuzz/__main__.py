"""The long forms: `python -m tests.fuzz policies --count 100000`, `… configs --count 50000`, each with its seed.

The seed is drawn and printed; a seed that fails is worth a test of its own. With `atheris` installed,
`python -m tests.fuzz atheris` lets it look for bytes on its own, guided by what they reach, until it has run `--count`
files; it begins with a sound one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

FORMS: dict[str, tuple[str, ...]] = {"policies": ("byte", "structural"), "configs": ("generated", "text")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=[*FORMS, "atheris"])
    parser.add_argument("--count", type=int, default=100_000, help="of the first kind; a fifth of it of the second")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    if arguments.what == "atheris":
        return with_atheris(arguments.count)
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    print(f"{'mutants':<14}{'number':>10}{'seconds':>10}   what became of them")
    kinds = zip(FORMS[arguments.what], mutants(arguments.what), (arguments.count, arguments.count // 5), strict=True)
    for name, make, count in kinds:
        began, told = time.process_time(), Counter[str]()
        for part in range(0, count, 10_000):  # by parts: a part that fails is found again by its own seed
            part_seed = seed + part
            try:
                told += make(part_seed, min(10_000, count - part))
            except BaseException:
                print(f"{name}: a mutant of seed {part_seed} fails", flush=True)
                raise
        became = ", ".join(f"{number} {what}" for what, number in told.most_common())
        print(f"{name:<14}{count:>10}{time.process_time() - began:>10.1f}   {became}", flush=True)
    return 0


def mutants(what: str) -> tuple[Callable[[int, int], Counter[str]], ...]:
    if what == "policies":
        from tests.fuzz.policies import byte_mutants, structural_mutants

        return byte_mutants, structural_mutants
    from tests.fuzz.configs import generated, texts

    return generated, texts


def with_atheris(count: int) -> int:
    try:
        import atheris  # type: ignore[import-not-found]
    except ImportError:
        print("error: atheris is not installed: pip install atheris")
        return 2
    with atheris.instrument_imports(include=["marl_pbt", "agents.ppo"]):
        from marl_pbt.snapshot import encode
        from tests.fuzz.policies import outcome, sound_policy, with_text

    sound = sound_policy()
    tensors, card = dict(sound.tensors), json.dumps({"schema": 1, **sound.metadata})

    def one(data: bytes) -> None:
        """As a file, and as a card in a file whose hash fits: by chance no hash ever would."""
        outcome(data)
        outcome(with_text(data.decode(errors="replace"), tensors, {}))

    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "file").write_bytes(encode(sound))
        (Path(corpus) / "card").write_text(card)
        atheris.Setup([sys.argv[0], f"-runs={count}", "-max_len=16384", corpus], one)
        atheris.Fuzz()  # which ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
