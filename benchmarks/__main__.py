"""All benchmarks of ours, one after the other: `python -m benchmarks` (about seventeen minutes; let nothing else run).

`python -m benchmarks.learning_curves` and `python -m benchmarks.peers`, which installs the peers, take longer each.
"""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("environment", "learner", "exploit", "population", "evaluation")


def main() -> int:
    code = 0
    for name in BENCHMARKS:
        print(f"\n## python -m benchmarks.{name}\n", flush=True)
        code |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
