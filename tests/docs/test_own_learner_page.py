"""The page on one's own learner holds a learner that runs."""

from __future__ import annotations

import re
from pathlib import Path

from marl_pbt.snapshot import decode
from tests.marl_pbt.command import train

PAGE = Path(__file__).parents[2] / "docs" / "own_learner.md"


def block(language: str) -> str:
    """The only block of code in this language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return found


def test_the_learner_on_the_page_has_forty_lines():
    assert sum(bool(line.strip()) for line in block("python").splitlines()) == 40


def test_the_learner_on_the_page_is_trained_by_the_command_on_the_page(tmp_path):
    (tmp_path / "my_learner.py").write_text(block("python"))
    (tmp_path / "line.yaml").write_text(block("yaml"))
    with train("line.yaml", "--name", "line", cwd=tmp_path) as command:
        code, out, err = command.finish()
    assert (code, err) == (0, "")
    assert "exploit: line of member_" in out and "its schedule: learning_rate" in out
    best = decode((tmp_path / "runs/line/best/line.safetensors").read_bytes())
    assert best.metadata["score"]["mean"] > -0.3
    assert abs(best.tensors["policy/weights"] - (3, -1)).max() < 0.3


def test_the_learner_on_the_page_goes_on_where_it_was_stopped(tmp_path):
    namespace: dict = {}
    exec(block("python"), namespace)
    one, other = (namespace["kind"].build({}, None, None, seed) for seed in (0, 1))
    one.set_hyperparameters("line", {"learning_rate": 0.05})
    one.update()
    other.set_state(one.get_state())
    assert one.update().episodes == other.update().episodes
    assert other.get_hyperparameters("line") == {"learning_rate": 0.05}
