"""`watch`: films of whoever is named, without a display."""

import numpy as np
import pytest
from PIL import Image

from marl_pbt.watch import main
from tests.marl_pbt.saved_runs import config_file, plan_of, saved_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    plan = plan_of(config_file(folder))
    (folder / "runs").mkdir()
    for seed, name in enumerate("ab"):
        saved_run(folder / "runs" / name, plan, seed=seed)
    return folder / "runs"


def told_by(capsys, *arguments) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_film_of_a_runs_best_is_written(runs, tmp_path, capsys):
    film = tmp_path / "play.gif"
    out = told_by(capsys, str(runs / "a"), "--gif", str(film), "--steps", "6", "--every", "2", "--fps", "20")
    assert out == f"{film}: predator a × prey a\n"
    with Image.open(film) as gif:
        assert (gif.n_frames, gif.info["duration"]) == (4, 50)


def test_named_policies_take_their_seats_and_the_run_fills_the_others(runs, tmp_path, capsys):
    film = str(tmp_path / "x.gif")
    steps = ("--gif", film, "--steps", "1", "--runs-dir", str(runs))
    assert "predator b × prey greedy" in told_by(capsys, "b", "--policies", "prey=greedy", *steps)
    out = told_by(capsys, "--policies", "predator=a:member_00@3", "prey=random", *steps)
    assert "predator a:member_00@3 × prey random" in out


def test_who_was_named_and_gets_no_seat_is_told(runs, tmp_path, capsys):
    film = ("--gif", str(tmp_path / "x.gif"), "--steps", "1", "--runs-dir", str(runs))
    assert main(["b", "--policies", "prey=greedy", "prey=random", "a:member_00", *film]) == 0
    out, err = capsys.readouterr()
    assert "predator a:member_00@4 × prey greedy" in out
    assert err == "note: prey: greedy plays; random, a:member_00@4 would need a seat of their own\n"
    assert main(["b", "--policies", "prey=greedy", *film]) == 0
    assert capsys.readouterr().err == ""  # that the best of the run give way is no news


def test_what_the_league_has_to_say_is_told(runs, tmp_path, capsys):
    saved_run(tmp_path / "long", plan_of(config_file(tmp_path, config={"max_steps": 30})))
    film = ("--gif", str(tmp_path / "x.gif"), "--steps", "1", "--runs-dir", str(runs))
    assert main(["--policies", "predator=a", f"prey={tmp_path}/long", *film]) == 0
    err = capsys.readouterr().err
    assert err.startswith(
        f"note: played as {runs}/a says, in envs.predator_prey_grass:parallel_env {{'max_steps': 12}}; "
    )
    assert err.endswith(f"{tmp_path}/long would be judged otherwise (--config and --set decide)\n")


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number_from_zero_on(runs, seed, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(runs / "a"), f"--seed={seed}"])
    assert ended.value.code == 2
    told = f"argument --seed: must be a whole number of at least 0, got '{seed}'\n"
    assert capsys.readouterr().err.endswith(told)


def test_settings_inside_settings_and_several_at_once_may_be_set(runs, tmp_path, capsys):
    film = tmp_path / "x.gif"
    told_by(capsys, str(runs / "a"), "--gif", str(film), "--set", "max_steps=4", "--set", "width=20")
    with Image.open(film) as gif:
        assert gif.n_frames == 5


BREAKS = """\
from tests.marl_pbt.adaptable_environments import Raises
class Breaks(Raises):
    def __init__(self, render_mode=None):
        super().__init__()
        self.render_mode = render_mode
"""


def test_an_environment_that_raises_is_told_and_leaves_no_film(tmp_path, monkeypatch, capsys):
    (tmp_path / "breaking_meadow.py").write_text(BREAKS)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_file(tmp_path, make="breaking_meadow:Breaks", config={})
    film = tmp_path / "x.gif"
    assert main(["--policies", "random", "--config", str(config), "--gif", str(film)]) == 2
    told = "error: environment.make: breaking_meadow:Breaks raised in step: IndexError: no such hare\n"
    assert capsys.readouterr().err == told
    assert not film.exists()


def test_without_a_run_the_newest_is_watched(runs, tmp_path, capsys):
    out = told_by(capsys, "--gif", str(tmp_path / "x.gif"), "--steps", "1", "--runs-dir", str(runs))
    assert "predator b × prey b" in out


def test_the_same_seed_gives_the_same_film_another_seed_another(runs, tmp_path, capsys):
    films = []
    for number, seed in enumerate("445"):
        path = tmp_path / f"{number}.gif"
        told_by(capsys, str(runs / "a"), "--gif", str(path), "--steps", "5", "--seed", seed)
        with Image.open(path) as gif:
            gif.seek(gif.n_frames - 1)
            films.append(np.asarray(gif.convert("RGB")))
    assert np.array_equal(films[0], films[1])
    assert not np.array_equal(films[0], films[2])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "nothing: no baseline of envs.predator_prey_grass:parallel_env"),
        (["--policies", "predator=a", "--runs-dir", "RUNS"], "prey: nobody plays this species"),
        (["--runs-dir", "EMPTY"], "no run with a best policy here"),
        (["RUNS/a", "--gif", "EMPTY/none/x.gif"], "is no folder"),
        (["RUNS/a", "--gif", "EMPTY"], "EMPTY: is a folder; name a file"),
        (["RUNS/a", "--mp4", "EMPTY"], "EMPTY: is a folder; name a file"),
        (["RUNS/a", "--set", "width=0", "--gif", "EMPTY/x.gif"], "environment.config.width: must be"),
    ],
)
def test_mistakes_are_told_in_a_line(runs, tmp_path, capsys, arguments, told):
    given = [each.replace("RUNS", str(runs)).replace("EMPTY", str(tmp_path)) for each in arguments]
    if arguments == ["nothing"]:
        given = ["--policies", "nothing", "--config", str(config_file(tmp_path))]
    assert main(given) == 2
    err = capsys.readouterr().err
    assert told.replace("EMPTY", str(tmp_path)) in err
    assert err.startswith("error: ") and "Traceback" not in err
