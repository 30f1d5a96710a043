"""Rules under which the environment's tests play: the usual, and the corners."""

CROWDED = {
    "width": 5,
    "height": 4,
    "max_steps": 60,
    "grass": {"count": 12, "growth": 0.9},
    "species": {
        "predator": {"initial_count": 3, "birth_energy": 6.0, "window": 3, "slots": 6},
        "prey": {"initial_count": 7, "birth_energy": 4.0, "window": 5, "slots": 15, "decay": 0.01},
    },
}
FEW_IDS = {
    "width": 9,
    "height": 7,
    "max_steps": 80,
    "grass": {"count": 30, "growth": 0.5},
    "species": {
        "predator": {"ids": 8, "window": 1, "decay": 0.02},
        "prey": {"ids": 20, "birth_energy": 3.5, "decay": 0.01},
    },
}
TINY_STEPS = {"max_steps": 3, "width": 12, "height": 10, "grass": {"count": 20}}
RAW = {"observation_dtype": "float32", "width": 14, "height": 14, "max_steps": 70, "grass": {"count": 60}}
ONE_LINE = {
    "width": 1,
    "height": 40,
    "max_steps": 50,
    "grass": {"count": 40, "growth": 0.3},
    "species": {"predator": {"window": 9}, "prey": {"window": 3, "birth_energy": 4.0}},
}
BASE = {}
CONFIGS = {
    "base": BASE,
    "crowded": CROWDED,
    "few_ids": FEW_IDS,
    "tiny_steps": TINY_STEPS,
    "raw": RAW,
    "one_line": ONE_LINE,
}
