import io

import made_up_run
import pytest
from PIL import Image

from marl_pbt.ancestry import LineageEvent
from marl_pbt.lineage_picture import ANCESTRY, lineage_picture
from marl_pbt.lineage_text import lineage_markdown, schedule_text
from marl_pbt.lines_of_descent import Descent, scores_along
from marl_pbt.protocols import Clocks
from marl_pbt.standings import Score, Source


def event(kind, member, generation, steps, mean=None, **more):
    score = None if mean is None else Score(mean, 1.0, 24)
    return LineageEvent(kind, member, "prey", generation, Clocks(agent_steps=steps), 0.0, score=score, **more)


# Member 1 copies member 0's second version and becomes the best; member 0 is the founder of its line.
STORY = [
    event("start", 0, 0, 0, hyperparameters={"learning_rate": 1e-3}),
    event("start", 1, 0, 0, founder=1, hyperparameters={"learning_rate": 5e-5}),
    event("ready", 0, 1, 100, 10.0, hyperparameters={"learning_rate": 1e-3}),
    event("ready", 1, 1, 110, 1.0, founder=1, hyperparameters={"learning_rate": 5e-5}),
    event("ready", 0, 2, 200, 20.0, hyperparameters={"learning_rate": 1e-3}),
    event("ready", 1, 2, 220, 2.0, founder=1, hyperparameters={"learning_rate": 5e-5}),
    event("exploit", 1, 2, 220, parent=Source(0, 2), hyperparameters={"learning_rate": 1e-3}),
    event("explore", 1, 2, 220, hyperparameters={"learning_rate": 1.25e-3}),
    event("ready", 1, 3, 330, 40.0, hyperparameters={"learning_rate": 1.25e-3}),
    event("ready", 0, 3, 300, 30.0, hyperparameters={"learning_rate": 1e-3}),
]


@pytest.mark.parametrize("population", [4, 16, 64])
def test_a_picture_has_a_lane_per_member_and_stays_of_a_size_to_look_at(population):
    run = made_up_run.lived(population, 4)
    picture = Image.open(io.BytesIO(lineage_picture(Descent.of(run.events, "predator"), population)))
    assert picture.format == "PNG"
    assert picture.width == 1200
    assert 200 <= picture.height <= 1200


def test_the_ancestry_of_the_best_is_framed():
    assert ANCESTRY == "crimson"
    assert (220, 20, 60) in _colours(lineage_picture(Descent.of(STORY, "prey"), 2))
    nobody_scored = [each for each in STORY if each.score is None and each.kind == "start"]
    assert (220, 20, 60) not in _colours(lineage_picture(Descent.of(nobody_scored, "prey"), 2))


def _colours(png):
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return {colour for _, colour in picture.getcolors(picture.width * picture.height)}


def test_a_picture_can_be_drawn_of_nothing():
    assert lineage_picture(Descent.of([], "prey"), 8).startswith(b"\x89PNG")


def test_the_best_is_told_by_scores_since_the_last_exploit():
    assert Descent.of(STORY, "prey").best(maximize=True).event_id == "01/prey/3/ready"
    assert Descent.of(STORY[:8], "prey").best(maximize=False).event_id == "00/prey/2/ready"
    assert Descent.of(STORY, "predator").best(maximize=True) is None


def test_scores_along_an_ancestry_count_the_steps_of_the_line():
    descent = Descent.of(STORY, "prey")
    line = scores_along(descent.ancestry(descent.best(maximize=True)))
    assert [(steps, score.mean) for steps, score in line] == [(100, 10.0), (200, 20.0), (310, 40.0)]


def test_a_schedule_is_told_with_the_steps_of_the_line_from_which_each_value_held():
    descent = Descent.of(STORY, "prey")
    line = descent.ancestry(descent.best(maximize=True))
    assert schedule_text(line, ["learning_rate"]) == "learning_rate 1e-3, 1.25e-3 from 200"
    assert schedule_text(line, []) == "nothing declared"


def test_a_copy_knows_both_sides():
    (copy,) = Descent.of([*STORY, *STORY], "prey").copies()  # told twice, counted once
    assert (copy.donor_steps, copy.donor_score.mean, copy.score.mean) == (200, 20.0, 2.0)
    assert copy.explore.hyperparameters == {"learning_rate": 1.25e-3}


def test_the_text_has_the_ancestry_and_the_latest_exploits():
    text = lineage_markdown(STORY, "prey", maximize=True)
    assert "### Ancestry of the best: member_01 at ready point 3, score 40.0 ± 1.0" in text
    assert "| 00 | 0 – 2 | 0 – 200 | 20.0 ± 1.0 | learning_rate 1e-3 |" in text
    assert "| 01 | 2 – 3 | 220 – 330 | 40.0 ± 1.0 | learning_rate 1.25e-3 |" in text
    assert "### 1 exploits" in text
    assert "| 01 | 220 | 00@2 | 2.00 ± 1.00 | 20.0 ± 1.0 |" in text


def test_the_text_keeps_to_the_latest_exploits():
    run = made_up_run.lived(8, 8)
    text = lineage_markdown(run.events, "predator", maximize=True, latest=3)
    table = text.split(" exploits\n\n")[1].splitlines()
    assert len(table) == 2 + 3
