"""The loop runner: leases, wakes, back-off, an orderly end."""

import threading

import pytest

from control_play import Play
from ferryml.bootstrap.loops import Loop, Loops
from ferryml.domain.errors import Unavailable


@pytest.fixture
def play(tmp_path):
    made = Play(tmp_path, loop_tick_s=0.05)
    yield made
    made.close()


def run(play, *loops, holder="me"):
    made = Loops(play.deps, loops, holder)
    made.start()
    return made


def end(play, *made):
    play.deps.stopping.set()
    for loops in made:
        loops.join(10)


def counted(goal, answer=lambda n: 0):
    """A tick that counts, and an event that is set at `goal`."""
    calls, reached = [], threading.Event()

    def tick(deps):
        calls.append(1)
        if len(calls) >= goal:
            reached.set()
        return answer(len(calls))

    return tick, reached, calls


def test_a_loop_looks_again_and_again_and_ends(play):
    tick, reached, calls = counted(3)
    made = run(play, Loop("x", tick))
    assert reached.wait(10)
    end(play, made)
    before = len(calls)
    assert not any(thread.is_alive() for thread in made._threads)
    assert len(calls) == before


def test_a_wake_is_heard_at_once(tmp_path):
    play = Play(tmp_path, loop_tick_s=5)
    tick, reached, _ = counted(2)
    made = run(play, Loop("x", tick))
    waker = threading.Event()
    while not reached.is_set():
        play.store.wake("loops")
        waker.wait(0.01)
    end(play, made)
    play.close()


def test_a_failing_turn_is_told_and_tried_again(play, caplog):
    def fails(n):
        if n == 1:
            raise RuntimeError("defect")
        if n == 2:
            raise Unavailable("Unavailable", "busy")
        return 0

    tick, reached, _ = counted(3, fails)
    made = run(play, Loop("x", tick))
    assert reached.wait(20)
    end(play, made)
    assert "loop x failed" in caplog.text


def test_one_process_at_a_time_has_a_loop(play):
    first, reached, _ = counted(1)
    second, _, calls = counted(1)
    mine = run(play, Loop("x", first), holder="first")
    assert reached.wait(10)
    yours = run(play, Loop("x", second), holder="second")
    another, there, _ = counted(1)
    other = run(play, Loop("y", another), holder="second")
    assert there.wait(10)
    end(play, mine, yours, other)
    assert calls == []


def test_a_lease_is_taken_over_when_its_holder_is_gone(tmp_path):
    play = Play(tmp_path, loop_tick_s=0.05, lease_s=0.3)
    with play.store.begin() as tx:
        assert tx.lease("loop.x", "dead", 0.3)
    tick, reached, calls = counted(1)
    made = run(play, Loop("x", tick))
    assert calls == []
    play.dice.passes(1)
    assert reached.wait(10)
    end(play, made)
    play.close()


def test_a_loop_that_rests_is_not_hurried(play):
    tick, reached, calls = counted(1)
    made = run(play, Loop("x", tick, every_s=600))
    assert reached.wait(10)
    play.store.wake("loops")
    end(play, made)
    assert len(calls) == 1
