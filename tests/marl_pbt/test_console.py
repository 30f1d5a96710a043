import io

import pytest
from rich.console import Console

from marl_pbt.console import LiveConsole, PlainConsole, open_console
from marl_pbt.console_table import Screen, draw
from marl_pbt.figures import duration, score_text, short_count, value_text
from marl_pbt.standings import Score, Source
from marl_pbt.status import MemberStatus, PolicyStatus, RunDescription, RunStatus

SPECIES = ("predator", "prey")
NAMES = ("learning_rate", "ent_coef", "gae_lambda")


def description(population):
    return RunDescription(
        "ppg-20250101", SPECIES, population, tuple((species, name) for species in SPECIES for name in NAMES)
    )


def run_status(population, **more):
    members = tuple(
        MemberStatus(
            member,
            "training",
            generation=3,
            agent_steps=1_234_567 + member,
            policies={
                "predator": PolicyStatus(
                    Score(100.0 + member, 5.5, 24),
                    {"learning_rate": 1.234e-4, "ent_coef": 0.0051, "gae_lambda": 0.95},
                    Source(5, 2) if member == 1 else None,
                ),
                "prey": PolicyStatus(None, {"learning_rate": 3e-3, "ent_coef": 0.01, "gae_lambda": 0.9}),
            },
        )
        for member in range(population)
    )
    return RunStatus(members, progress=0.42, agent_steps=9_876_543, agent_steps_per_s=81_234.0, **more)


def drawn(population, width, height):
    screen = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    with screen.capture() as capture:
        screen.print(draw(description(population), run_status(population), Screen(width, height)))
    return [line.rstrip() for line in capture.get().splitlines()]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("population", "width", "height"), [(8, 80, 24), (64, 80, 24), (64, 200, 50), (4, 60, 24)])
def test_the_table_never_leaves_the_screen(population, width, height):
    lines = drawn(population, width, height)
    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= width


def test_a_table_that_fits_shows_every_member_and_hyperparameter():
    text = "\n".join(drawn(8, 140, 40))
    assert text.count("predator") == 8 + 1  # a row each, and the best in the header
    assert "1.23e-4" in text
    assert "0.95" in text
    assert "← 05@2" in text
    assert "not shown" not in text


def test_eighty_columns_keep_score_parent_state_and_two_hyperparameters():
    row = next(line for line in drawn(8, 80, 40) if "← 05@2" in line)
    assert " ".join(row.split()) == "predator 01 3 1.23M 101.0 ± 5.5 24 1.23e-4 5.1e-3 ← 05@2 training"


def test_a_large_population_is_folded_to_the_best_and_the_worst():
    predators = [line for line in drawn(64, 120, 24) if line.startswith("predator")]
    assert "163.0" in predators[0]
    assert "100.0" in predators[-1]
    assert any(f"{64 - len(predators)} not shown" in line for line in drawn(64, 120, 24))


def test_the_best_is_the_lowest_where_less_is_better():
    status = run_status(4)
    assert status.best("predator", maximize=True)[0].member == 3
    assert status.best("predator", maximize=False)[0].member == 0
    assert status.best("prey", maximize=True) is None


def test_plain_lines_come_every_interval_and_the_last_at_the_end():
    stream = io.StringIO()
    console = open_console(description(8), stream, interval_s=30.0)
    assert isinstance(console, PlainConsole)
    for now in (0.0, 10.0, 29.0, 31.0, 50.0):
        console.update(run_status(8, elapsed_s=now, left_s=100.0), now)
    console.say("member_01 copies predator of member_05@2")
    console.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(" · ")[3] for line in lines if "%" in line] == ["0:00 elapsed", "0:31 elapsed", "0:50 elapsed"]
    assert lines[0] == (
        "42 % · 9.88M agent steps · 81.2k/s · 0:00 elapsed · 1:40 left · exploits 0 · best: predator 107.0 ± 5.5 "
        "(member_07)"
    )
    assert lines[2] == "member_01 copies predator of member_05@2"


def test_a_terminal_gets_the_live_table_and_keeps_what_was_said(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = open_console(description(4), stream)
    assert isinstance(console, LiveConsole)
    console.say("before the first table")
    console.update(run_status(4), 0.0)
    console.say("[not markup] said above")
    console.update(run_status(4, exploits=7), 0.1)
    console.close()
    text = stream.getvalue()
    assert "before the first table" in text
    assert "[not markup] said above" in text
    assert "exploits 7" in text  # too soon to be drawn when it came, but drawn at the end


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_console(description(4), Terminal()), PlainConsole)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (42_345, "42.3k"), (999_960, "1.00M"), (1.2e9, "1.20G"), (99_960, "100k")],
)
def test_counts_are_short(count, text):
    assert short_count(count) == text


def test_times_scores_and_values_are_short():
    assert [duration(seconds) for seconds in (42, 723, 3723)] == ["0:42", "12:03", "1:02:03"]
    assert score_text(None) == "pending"
    assert score_text(Score(float("nan"), 0.0, 30)) == "not finite"
    assert [score_text(Score(mean, 0.5, 9)) for mean in (0.25, 2.5, 250.0)] == [
        "0.250 ± 0.500",
        "2.50 ± 0.50",
        "250.0 ± 0.5",
    ]
    values = (0.95, 1.234e-4, 3e-3, 512, True, "relu", 0.0, 12345.6, 512.0)
    assert [value_text(value) for value in values] == [
        *("0.95", "1.23e-4", "3e-3", "512", "true", "relu", "0", "1.23e4", "512")
    ]
