"""`python -m marl_pbt.verify`: what is damaged, out of place, missing or left over in a run is told with what to do."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from marl_pbt.ancestry import JOINED, LineageEvent
from marl_pbt.cli import main as cli
from marl_pbt.cross_play.archive import Archive
from marl_pbt.durable import write_durably
from marl_pbt.lineage_store import LineageStore
from marl_pbt.member_files import policy_of
from marl_pbt.protocols import Clocks
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import Snapshot, decode, encode
from marl_pbt.standings import Source
from marl_pbt.verified_lineage import Published, findings_of
from marl_pbt.verify import main
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.toy_learner import SPECIES
from tests.marl_pbt.toy_population import NOISY, Population, evolution

CARD = {
    "architecture": {"kind": "toy", "parameters": 8, "actions": 2},
    "learner": "tests.marl_pbt.toy_learner:kind",
    "environment": None,
}
ASIDE = "resume puts it aside and goes on from the one before, or from another member's"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run of four members over six generations, with all that a run leaves."""
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "a")
    run.create()
    shutil.copy(toy_config(tmp_path_factory.mktemp("config")), run.config)
    population = Population(run.members, evolution(4, cards=dict.fromkeys(SPECIES, CARD)), NOISY)
    store = LineageStore(run.lineage)
    store.append([event for member in population.members for event in member.events])
    for _ in range(6):
        population.live()
    store.append(population.events)
    store.close()
    checkpoint = decode(population[1].place.checkpoints.path(6).read_bytes())
    policies = {name: policy_of(checkpoint, name) for name in SPECIES}
    Archive(run.archive, 4).add(1, 6, policies)
    for name, policy in policies.items():
        write_durably(run.best_policy(name), encode(policy))
    assert any(event.kind == "exploit" for event in population.events)
    return run.root


@pytest.fixture
def run(sound, tmp_path):
    return RunDirectory(shutil.copytree(sound, tmp_path / "a"))


def told(run, capsys):
    """Exit code, findings without the run's path, summary."""
    code = main([str(run.root)])
    *findings, summary = capsys.readouterr().out.splitlines()
    assert code == (1 if findings else 0)
    return [line.removeprefix(f"{run.root}/") for line in findings], summary


def test_a_sound_run_has_no_findings(run, capsys):
    def looks():
        stats = ((path, path.stat()) for path in run.root.rglob("*"))
        return {path: (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats}

    before = looks()
    findings, summary = told(run, capsys)
    assert findings == []
    assert summary.startswith(f"{run.root}: 1 config, ")
    assert summary.endswith("2 best policies, 2 archived policies: nothing is wrong")
    assert looks() == before, "it never writes"
    assert cli(["verify", str(run.root)]) == 0


def test_what_is_no_run_is_the_users_mistake(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert main(["no_such_run", "--runs-dir", str(tmp_path)]) == 2
    assert "no run here" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ checkpoints


def newest(run, member=2):
    return run.member(member) / "000006.safetensors"


def test_a_checkpoint_with_a_flipped_bit_is_told_with_its_hash(run, capsys):
    data = bytearray(newest(run).read_bytes())
    data[-1] ^= 1
    newest(run).write_bytes(data)
    findings, _ = told(run, capsys)
    assert (
        findings[0] == f"members/member_02/000006.safetensors: damaged: its SHA-256 does not fit its content; {ASIDE}"
    )
    assert any(
        "fox of member_02: generation 6 is told, its newest whole checkpoint is of 5" in each for each in findings
    )


def test_a_swapped_checkpoint_is_told_with_what_it_holds(run, capsys):
    shutil.copy(newest(run, 1), newest(run, 2))
    findings, _ = told(run, capsys)
    assert findings[0].endswith(f"holds checkpoint member_01@6, which belongs elsewhere; {ASIDE}")


def test_a_checkpoint_with_a_number_that_is_none_is_told(run, capsys):
    snapshot = decode(newest(run).read_bytes())
    snapshot.tensors["fox/policy/theta"][0] = float("nan")
    newest(run).write_bytes(encode(snapshot))
    findings, _ = told(run, capsys)
    assert findings[0].endswith(f"fox/policy/theta is not finite; {ASIDE}")


def test_a_member_without_a_whole_checkpoint_is_told(run, capsys):
    for path in run.member(3).glob("*.safetensors"):
        path.unlink()
    findings, _ = told(run, capsys)
    assert findings[0].startswith("members/member_03: no whole checkpoint; resume begins it anew")


def test_what_a_killed_writer_and_a_resume_left_over_is_told_with_what_to_do(run, capsys):
    (run.member(0) / "000007.safetensors.4000000.writing").write_bytes(b"half")
    (run.member(0) / f"000007.safetensors.{os.getppid()}.writing").write_bytes(b"at work")
    (run.member(0) / "000003.safetensors.damaged").write_bytes(b"")
    findings, _ = told(run, capsys)
    assert findings == [
        "members/member_00/000003.safetensors.damaged: is damaged and was put aside; "
        "delete it, nothing reads it; if many are, look at the disk",
        "members/member_00/000007.safetensors.4000000.writing: was left by a writer that was killed; "
        "delete it, nothing reads it",
    ]


# ------------------------------------------------------------------------------------ best, archive, config


def test_policies_out_of_their_places_are_told(run, capsys):
    shutil.copy(run.best_policy("fox"), run.best_policy("hare"))
    shutil.move(run.archive / "fox" / "member_01@6.safetensors", run.archive / "fox" / "member_02@6.safetensors")
    (run.archive / "hare" / "member_01@6.safetensors").write_bytes(b"PK\x03\x04")
    findings, _ = told(run, capsys)
    assert [line.split(";")[0].removeprefix(str(run.root)) for line in findings[:2]] == [
        "best/hare.safetensors: holds fox, which belongs elsewhere",
        "archive/fox/member_02@6.safetensors: holds member_01@6, which belongs elsewhere",
    ]
    assert "is a zip" in findings[2]


def test_a_config_that_cannot_be_read_is_told_with_its_line(run, capsys):
    run.config.write_text(run.config.read_text().replace("interval:", "intervall:"))
    findings, _ = told(run, capsys)
    assert any("unknown key; did you mean 'interval'?" in line for line in findings)


# ------------------------------------------------------------------------------------ lineage


def rewritten(run, change):
    """Lines that are dropped where `change` gives None."""
    lines = run.lineage.read_text().splitlines()
    run.lineage.write_text("".join(f"{line}\n" for line in map(change, lines) if line is not None))


def test_a_source_that_was_never_published_is_told(run, capsys):
    exploit = next(line for line in run.lineage.read_text().splitlines() if '"kind": "exploit"' in line)
    rewritten(
        run, lambda line: line.replace('"parent": {"member": ', '"parent": {"member": 9') if line == exploit else line
    )
    findings, _ = told(run, capsys)
    assert len(findings) == 1
    assert ", of which no ready point is told; do not rely on ancestries that lead through it" in findings[0]


def test_a_checksum_that_is_not_the_sources_is_told(run, capsys):
    """Where the source's checkpoint is still there."""
    kept = {(int(path.parent.name[-2:]), int(path.stem)) for path in run.members.glob("*/*.safetensors")}

    def is_checkable(line):
        return '"kind": "exploit"' in line and any(
            f'"parent": {{"member": {member}, "generation": {generation}}}' in line for member, generation in kept
        )

    line = next(filter(is_checkable, run.lineage.read_text().splitlines()))
    where = line.index('"checksum": "') + 13
    rewritten(run, lambda each: f"{each[:where]}{'0' * 8}{each[where + 8 :]}" if each == line else each)
    findings, _ = told(run, capsys)
    assert len(findings) == 1
    assert "with checksum 00000000, its checkpoint has " in findings[0]


def test_missing_ready_points_torn_lines_and_what_is_told_twice_are_told(run, capsys):
    def change(line):
        return None if '"id": "00/fox/3/ready"' in line else line

    rewritten(run, change)
    first = run.lineage.read_text().splitlines()[0]
    with run.lineage.open("a") as file:
        file.write(f"no event\n{first}\n" + '{"schema": 1, "id')
    findings, _ = told(run, capsys)
    odd = len(run.lineage.read_text().splitlines()) - 2
    assert [line.split("; ")[0] for line in findings][:3] == [
        "lineage.jsonl: its last line is torn",
        f"lineage.jsonl: line {odd}: Expecting value: line 1 column 1 (char 0)",
        "lineage.jsonl: 00/fox/0/start is told 2 times",
    ]
    assert any("fox of member_00: no ready point is told of generation 3" in line for line in findings)


@pytest.mark.parametrize(("lived", "joined_at"), [(2, 5), (5, 5), (5, 4)])
def test_a_member_that_began_again_as_a_copy_lacks_no_ready_point_of_the_life_it_never_lived(lived, joined_at):
    """Before and after the copy, each life is complete by itself, and may have a clock of its own."""

    def told_at(kind, member, generation, steps, **more):
        clocks = Clocks(agent_steps=steps)
        return LineageEvent(
            kind=kind, member=member, policy="fox", generation=generation, clocks=clocks, time=0, **more
        )

    def of(member, until, pace):
        ready = [told_at("ready", member, at, pace * at) for at in range(1, until + 1)]
        return [told_at("start", member, 0, 0), *ready]

    copy = {"parent": Source(0, joined_at), "why": {"decision": JOINED}}
    events = [
        *of(0, 6, 10),
        *of(1, lived, 100),
        told_at("restart", 1, joined_at - 1, 10 * joined_at),
        told_at("exploit", 1, joined_at, 10 * joined_at, **copy),
        told_at("ready", 1, joined_at + 1, 10 * joined_at + 10),
    ]
    published = Published(is_live=False, has_shown_first=False, newest={0: 6, 1: joined_at + 1})
    assert list(findings_of(events, published)) == []
    gap = told_at("ready", 1, joined_at + 3, 10 * joined_at + 30)
    published.newest[1] = joined_at + 3
    ((who, fault, _),) = findings_of([*events, gap], published)
    assert (who, fault) == ("fox of member_01", f"no ready point is told of generation {joined_at + 2}")


def test_a_run_without_a_lineage_is_told(run, capsys):
    run.lineage.unlink()
    findings, _ = told(run, capsys)
    assert findings[0].startswith("lineage.jsonl: is missing; resume begins it anew")


def test_a_run_that_goes_on_is_read_and_what_may_still_come_is_no_finding(run, capsys):
    run.lock(os.getpid())
    lines = run.lineage.read_text().splitlines()
    run.lineage.write_text("".join(f"{line}\n" for line in lines if '"generation": 6, "clocks"' not in line) + '{"sche')
    (run.member(0) / "000007.safetensors.4000000.writing").write_bytes(b"of a process in another container")
    findings, summary = told(RunDirectory(run.root), capsys)
    assert findings == []
    assert "(it goes on)" in summary
    run.unlock()
    assert len(told(run, capsys)[0]) == 10


def test_a_run_is_held_by_its_lock_and_not_by_a_process_that_has_the_number_of_its_last_holder(run, capsys):
    """In containers numbers come back."""
    run.lock(os.getpid())
    run.unlock()
    (run.root / "lock.txt").write_text(f"pid {os.getppid()} since today\n")
    before = sorted(path.name for path in run.root.iterdir())
    assert not run.is_held
    assert "(it goes on)" not in told(run, capsys)[1]
    assert sorted(path.name for path in run.root.iterdir()) == before


def test_where_the_lock_cannot_be_looked_at_the_file_beside_it_says_who_holds_the_run(run, monkeypatch):
    def none_here(descriptor):
        raise OSError(errno.ENOSYS, "no locks here")

    run.lock(os.getpid())
    run.unlock()
    monkeypatch.setattr("marl_pbt.run_directory._is_locked", none_here)
    assert not run.is_held
    (run.root / "lock.txt").write_text(f"pid {os.getppid()} since today\n")
    assert run.is_held
    (run.root / "lock.txt").write_text("pid 4000000 since yesterday\n")
    assert not run.is_held


def test_nothing_in_a_strangers_run_is_followed(run, tmp_path, capsys):
    outside = tmp_path / "outside"
    outside.write_bytes(encode(Snapshot({}, {})))
    newest(run).unlink()
    newest(run).symlink_to(outside)
    run.lineage.write_text("[" * 100_000 + "\n")
    findings, _ = told(run, capsys)
    assert any("is a symbolic link" in line for line in findings)
    assert all(line.isprintable() and len(line) < 600 for line in findings)
