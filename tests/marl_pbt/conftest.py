"""What several files of these tests begin with; nobody changes it."""

from __future__ import annotations

import pytest

from marl_pbt.evaluate import main
from tests.marl_pbt.evaluations import in_this_process, two_runs
from tests.marl_pbt.league_requests import runs_in
from tests.marl_pbt.saved_runs import Line, config_file, plan_of


@pytest.fixture(scope="session")
def plan(tmp_path_factory):
    """Of a small config."""
    return plan_of(config_file(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="session")
def policy(plan):
    """A predator's snapshot."""
    return Line(plan, 1, 4, seed=0).policy("predator")


@pytest.fixture(scope="session")
def runs_of_all_kinds(tmp_path_factory, plan):
    """See `league_requests.runs_in`."""
    return runs_in(tmp_path_factory.mktemp("runs"), plan)


@pytest.fixture(scope="session")
def runs_to_evaluate(tmp_path_factory):
    """See `evaluations.two_runs`."""
    return two_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def evaluate(runs_to_evaluate, tmp_path, capsys):
    """The evaluate command in this process: exit code, standard output, standard error."""

    def run(*arguments, out=tmp_path / "out"):
        return main([*arguments, *in_this_process(runs_to_evaluate, out)]), *capsys.readouterr()

    return run
