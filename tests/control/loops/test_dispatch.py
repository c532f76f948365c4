"""Dispatch: eligible, happy, stale, contended."""

from control_play import OWNER, WORKSPACE
from ferryml.control import jobs
from ferryml.control.loops import dispatch


def test_nothing_to_do(play):
    assert dispatch.tick(play.deps) == 0


def test_each_job_becomes_one_wish(play):
    play.site()
    names = {play.job()["name"] for _ in range(3)}
    assert dispatch.tick(play.deps) == 3
    assert dispatch.tick(play.deps) == 0
    assert {wish.uid.rpartition(".")[2] for wish in play.wishes("cloud").wishes} == names


def test_a_batch_is_bounded(tmp_path):
    from control_play import Play

    play = Play(tmp_path, loop_batch=2)
    play.site()
    [play.job() for _ in range(3)]
    assert [dispatch.tick(play.deps) for _ in range(3)] == [2, 1, 0]
    play.close()


def test_a_cancelled_job_is_not_sent(play):
    play.site()
    name = play.job()["name"]
    jobs.cancel(play.deps, OWNER, WORKSPACE, name)
    assert dispatch.tick(play.deps) == 0


def test_a_job_without_a_site_waits_and_holds_up_nobody(play):
    play.site()
    play.site("edge", "edge", "c2")
    play.job(compute="c2"), play.job()
    with play.store.begin() as tx:
        tx.delete("site", "", "edge")
    assert dispatch.tick(play.deps) == 1


def test_two_dispatchers_send_once(play, monkeypatch):
    play.site()
    play.job()
    real, entered = play.store.begin, []

    def begin():
        if not entered:
            entered.append(1)
            assert dispatch.tick(play.deps) == 1
        return real()

    monkeypatch.setattr(play.store, "begin", begin)
    assert dispatch.tick(play.deps) == 0
    assert [wish.generation for wish in play.wishes("cloud").wishes] == [1]
