"""Makes the golden files of the schema that this version writes: `python -m tests.golden.make`, once per schema.

Files that are there already are left alone: they are what people have on their disks.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from marl_pbt.config import config_to_yaml, load_config
from marl_pbt.snapshot import SCHEMA, encode
from tests.fuzz.policies import sound_policy
from tests.golden.meaning import meaning_of
from tests.marl_pbt.config_files import SOUND
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import NOISY, Population, evolution

HERE = Path(__file__).parent
CARD = {
    "architecture": {"kind": "toy", "parameters": 8, "actions": 2},
    "learner": "tests.marl_pbt.toy_learner:kind",
    "environment": None,
}


def main() -> None:
    folder = HERE / f"schema_{SCHEMA}"
    folder.mkdir(exist_ok=True)
    for name, data in _files().items():
        if not (folder / name).exists():
            (folder / name).write_bytes(data)
    meaning = folder / "meaning.json"
    if not meaning.exists():
        meaning.write_text(json.dumps(meaning_of(folder), indent=1, sort_keys=True) + "\n")


def _files() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as temporary:
        by = evolution(3, cards=dict.fromkeys(SPECIES, CARD), deterministic=True)
        population = Population(Path(temporary), by, NOISY)
        events = [event for member in population.members for event in member.events]
        for _ in range(4):
            population.live()
        events += population.events
        checkpoint = population[1].place.checkpoints.path(4).read_bytes()
        (Path(temporary) / "config.yaml").write_text(SOUND)
        config = config_to_yaml(load_config(Path(temporary) / "config.yaml").config)
    return {
        "policy.safetensors": encode(sound_policy()),
        "checkpoint.safetensors": checkpoint,
        "lineage.jsonl": "".join(f"{event.to_line()}\n" for event in events).encode(),
        "config.yaml": config.encode(),
    }


if __name__ == "__main__":
    main()
