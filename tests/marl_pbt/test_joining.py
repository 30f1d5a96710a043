"""Members that have no state of their own begin as copies of good ones: new ones, and those that have lost theirs."""

import errno
import shutil

import pytest

from marl_pbt.ancestry import JOINED, ancestry
from marl_pbt.checkpoints import CheckpointError
from marl_pbt.joining import peers, ranked
from marl_pbt.lineage_store import read_lineage
from marl_pbt.member import Member
from marl_pbt.reconstruction import Reconstruction, turns_of
from marl_pbt.streams import stream_seed
from tests.marl_pbt.sittings import Sitting, generations
from tests.marl_pbt.toy_learner import ToyLearner, ToySettings
from tests.marl_pbt.toy_population import NOISY, SPECIES, state_bytes


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def lose(folder, member, kept=0):
    """Damage all of a member's checkpoints but so many."""
    paths = sorted((folder / "members" / f"member_{member:02d}").glob("*.safetensors"))
    for path in paths[kept:]:
        path.write_bytes(path.read_bytes()[:-3])


def lived(folder, generation, members=3, **fields):
    Sitting(folder, members, **fields).live(generation).close()


def joined(folder):
    return [event for event in read_lineage(folder / "lineage.jsonl") if event.why.get("decision") == JOINED]


@pytest.mark.parametrize("control", ["pbt", "random_search"])
def test_a_member_with_no_whole_checkpoint_goes_on_as_a_copy_of_the_best_peer_and_says_so(tmp_path, caplog, control):
    """Section 2: never silently from nothing; whatever the control: it has no choice."""
    lived(tmp_path, 4, control=control)
    lose(tmp_path, 1)
    sitting = Sitting(tmp_path, 3, control=control)
    best = ranked(peers(sitting.population[1].place.checkpoints, 3), maximize=True)[0]
    (member, generation) = best.metadata["member"], best.metadata["generation"]
    assert f"member_01: none of its checkpoints is whole; it goes on as a copy of member_0{member}@4" in caplog.text
    for event in joined(tmp_path):
        assert (event.member, event.parent.member, event.parent.generation) == (1, member, generation)
    assert len(joined(tmp_path)) == 2
    donor = best.read()
    own = sitting.population[1]
    for species in SPECIES:
        copied = own.learner.snapshot(species)["policy/theta"]
        assert (copied == donor.tensors[f"{species}/policy/theta"]).all()
    assert own.generation == 4
    sitting.live(6).close()
    assert all(lived[-2:] == [5, 6] for lived in generations(tmp_path).values())


def test_where_an_older_checkpoint_is_whole_nobody_is_copied(tmp_path):
    lived(tmp_path, 4)
    lose(tmp_path, 1, kept=1)
    sitting = Sitting(tmp_path, 3)
    assert sitting.population[1].generation < 4
    assert joined(tmp_path) == []


def test_what_a_member_came_to_by_joining_is_on_the_disk_at_once_and_does_not_happen_twice(tmp_path):
    lived(tmp_path, 4)
    lose(tmp_path, 1)
    first, second = Sitting(tmp_path, 3), Sitting(tmp_path, 3)
    assert state_bytes(first.population[1]) == state_bytes(second.population[1])
    assert first.population[1].events == second.population[1].events
    assert len(joined(tmp_path)) == 2


def test_without_any_whole_checkpoint_in_the_population_it_is_an_error_and_not_a_fresh_start(tmp_path):
    lived(tmp_path, 2, members=2)
    lose(tmp_path, 0)
    lose(tmp_path, 1)
    with pytest.raises(CheckpointError, match="no other member's to copy"):
        Sitting(tmp_path, 2)


def grown(folder, members, generation, monkeypatch):
    """Go on with more members than there are."""
    start = Member.start

    def joining(member):
        member.place.joins = not member.place.checkpoints.generations()
        start(member)

    monkeypatch.setattr(Member, "start", joining)
    return Sitting(folder, members).live(generation)


def test_a_larger_population_joins_as_copies_of_good_ones_with_worlds_and_draws_of_their_own(tmp_path, monkeypatch):
    """Section 2, resume with another config: more members."""
    lived(tmp_path, 4)
    sitting = grown(tmp_path, 5, 4, monkeypatch)
    assert [member.generation for member in sitting.population.members] == [4] * 5
    assert {event.member for event in joined(tmp_path)} == {3, 4}
    one, other = sitting.population[3], sitting.population[4]
    sitting.live(6).close()
    assert state_bytes(one) != state_bytes(other)
    segments = ancestry(read_lineage(tmp_path / "lineage.jsonl"), "fox", 3, 6)
    assert segments[0].first == 0
    assert segments[-1].member == 3


@pytest.mark.parametrize("member", [1, 3])
def test_the_life_of_a_member_that_joined_can_be_lived_again_bit_for_bit(tmp_path, monkeypatch, member):
    """`replay --exact`: one that has lost everything and one that is new."""
    lived(tmp_path, 4)
    lose(tmp_path, 1)
    sitting = grown(tmp_path, 4, 7, monkeypatch)
    sitting.close()
    by = sitting.population.evolution
    settings = ToySettings.read(NOISY)

    def build(who):
        return ToyLearner(settings, SPECIES, stream_seed(by.seed, "learner", who))

    again = Reconstruction(turns_of(read_lineage(tmp_path / "lineage.jsonl")), by, build)
    list(again.live(member, 7))
    for species in SPECIES:
        mine = sitting.population[member].learner.snapshot(species)
        assert all((array == mine[name]).all() for name, array in again.version(member, 7, species).items())


def test_an_interval_that_was_changed_on_a_resume_does_not_keep_a_life_from_being_lived_again(tmp_path):
    lived(tmp_path, 3)
    sitting = Sitting(tmp_path, 3, interval=5.0).live(6)
    sitting.close()
    by = sitting.population.evolution
    again = Reconstruction(
        turns_of(read_lineage(tmp_path / "lineage.jsonl")),
        by,
        lambda who: ToyLearner(ToySettings.read(NOISY), SPECIES, stream_seed(by.seed, "learner", who)),
    )
    list(again.live(2, 6))
    assert (
        again.version(2, 6, "fox")["policy/theta"] == sitting.population[2].learner.snapshot("fox")["policy/theta"]
    ).all()


def start_again(population, index):
    """As a member does whose worker was restarted: a fresh one, on the board that was there."""
    old = population[index]
    learner = population.learner(ToySettings.read(NOISY), stream_seed(0, "learner", index))
    member = Member(index, learner, population.evolution, old.place)
    member.start()
    return member


def test_a_member_whose_folder_was_emptied_in_mid_run_goes_on_as_a_copy_and_not_from_nothing(tmp_path):
    """The board tells where it stood; nothing in its folder does."""
    population = Sitting(tmp_path, 3).live(3).population
    shutil.rmtree(tmp_path / "members" / "member_01")
    member = start_again(population, 1)
    assert member.generation == 3
    assert {event.why["decision"] for event in member.events if event.kind == "exploit"} == {JOINED}


def test_a_member_that_never_came_to_a_ready_point_begins_again_from_nothing(tmp_path):
    population = Sitting(tmp_path, 3).population
    population.live(0, 2)
    (tmp_path / "members" / "member_01").mkdir()
    member = start_again(population, 1)
    assert member.generation == 0
    assert {event.kind for event in member.events} == {"start"}


def test_a_member_whose_checkpoints_cannot_be_read_just_now_does_not_begin_at_all(tmp_path, monkeypatch):
    """A failure as any other: it is started again after a while, and finds them."""
    population = Sitting(tmp_path, 3).live(3).population

    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_bytes", stale)
        with pytest.raises(OSError, match="Stale file handle"):
            start_again(population, 1)
    assert state_bytes(start_again(population, 1)) == state_bytes(population[1])


def test_where_only_the_board_knows_of_a_member_it_begins_anew_and_says_so(tmp_path, monkeypatch, caplog):
    """In synchronous mode it shows its scores even where the disk takes no checkpoint, of nobody's."""
    for module in ("member", "joining"):
        monkeypatch.setattr(f"marl_pbt.{module}.has_lost_all", lambda member: True)
    sitting = Sitting(tmp_path, 2)
    assert [member.generation for member in sitting.population.members] == [0, 0]
    assert "member_01: no checkpoint was written, neither its own nor another member's; it begins anew" in caplog.text
