"""Who hangs, decided from counters and a clock that is an argument."""

import math

from marl_pbt.supervision.hangs import LONGER, Patience
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.whereabouts import DOINGS, Sight
from marl_pbt.vigil import MAX_GAP_S, Vigil

PATIENCE = Patience(60.0)


def sight(doing="env.step", env_steps=7):
    return Sight(doing, tuple(env_steps if each == "env.step" else 3 for each in DOINGS))


def watched(seen, seconds, every_s=0.5):
    """Somebody who has been just so for so long, looked at steadily."""
    vigil = Vigil(seen, 0.0)
    for number in range(1, int(seconds / every_s) + 1):
        vigil = vigil.after(seen, number * every_s)
    return vigil


def test_who_does_not_come_out_of_a_step_hangs_when_the_patience_is_over():
    assert PATIENCE.verdict(watched(sight(), 59.5)) == "well"
    assert PATIENCE.verdict(watched(sight(), 60.0)) == "hung"


def test_a_slow_first_step_a_build_and_an_update_are_given_longer_and_called_stale_meanwhile():
    for seen in (sight(env_steps=0), *(sight(doing) for doing in DOINGS if doing not in ("env.step", "idle"))):
        assert PATIENCE.verdict(watched(seen, 59.5)) == "well"
        assert PATIENCE.verdict(watched(seen, 60.0)) == "stale"
        assert PATIENCE.verdict(watched(seen, 60.0 * LONGER)) == "hung"


def test_who_waits_for_others_or_has_nothing_to_do_never_hangs():
    vigil = watched(sight("idle"), 3600.0)
    assert PATIENCE.verdict(vigil) == "well"
    assert PATIENCE.with_(vigil.sight, is_stopped=False) == math.inf


def test_one_more_step_begins_the_silence_anew():
    vigil = watched(sight(), 59.5).after(sight(env_steps=8), 60.0)
    assert vigil.silent_s == 0.0
    assert PATIENCE.verdict(vigil.after(sight(env_steps=8), 60.5)) == "well"


def test_a_stopped_process_is_a_straggler_for_a_while_and_is_replaced_in_the_end():
    assert PATIENCE.verdict(watched(sight(), 60.0), is_stopped=True) == "stale"
    assert PATIENCE.verdict(watched(sight(), 60.0 * LONGER), is_stopped=True) == "hung"


def test_who_is_stopped_while_it_has_nothing_to_do_is_replaced_in_the_end_too():
    """It could not begin what it is asked for, and everybody would wait for it."""
    idle = watched(sight("idle"), 60.0)
    assert PATIENCE.verdict(idle, is_stopped=True) == "stale"
    assert PATIENCE.with_(idle.sight, is_stopped=True) == 60.0 * LONGER
    assert PATIENCE.verdict(watched(sight("idle"), 60.0 * LONGER), is_stopped=True) == "hung"


def test_an_answer_is_not_waited_for_once_a_signal_has_stopped_the_worker_for_long():
    post = Post(0, (0,), tasks=["film"], vigil=watched(sight("idle"), 60.0))
    assert post.is_awaited(60.0)
    post.is_stopped = True
    assert post.is_awaited(61.0)
    assert not post.is_awaited(60.0)


def test_time_in_which_nobody_looked_is_no_silence():
    """A laptop that slept, a supervisor that was stopped, a clock that jumps: none of them makes anybody hang."""
    vigil = watched(sight(), 10.0)
    assert vigil.after(sight(), 36000.0).silent_s == 10.0 + MAX_GAP_S
    assert vigil.after(sight(), -36000.0).silent_s == 10.0


def test_without_a_timeout_nobody_ever_hangs():
    vigil = watched(sight(), 3600.0)
    assert Patience(None).verdict(vigil) == "well"
