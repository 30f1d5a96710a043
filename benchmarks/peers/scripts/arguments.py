"""The arguments that the peers' scripts share."""

from __future__ import annotations

import argparse
import os


def parse_arguments(description: str | None) -> argparse.Namespace:
    """`environment`, `seconds`, `cores` and `settings` (what else a system needs, as JSON)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--environment", choices=("predator_prey_grass", "simple_tag"), default="simple_tag")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--settings", default="{}")
    return parser.parse_args()


def keep_to_one_thread() -> None:
    """One thread for torch; for everything else the environment variables say so already."""
    import torch

    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("OMP_NUM_THREADS: must be 1 before torch is imported")
    torch.set_num_threads(1)
