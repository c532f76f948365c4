"""The loop that delivers: taken, waited for, put aside, given up, gone; in order; and nothing lost by a kill."""

import threading
from datetime import timedelta

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import notices, webhooks
from ferryml.control.context import changed
from ferryml.control.loops import webhooks as loop
from ferryml.control.ports import Answered
from webhook_play import SECRET, Hooks, verified

ALL = ["triggered", "gated", "registered", "promoted"]
DAY = 86_400


@pytest.fixture
def hooks(play):
    made = Hooks(play)
    made.make(secret=SECRET)
    return made


def told(hooks, on=(), **changes):
    """One run's events wait."""
    hooks.automation(on=on, **changes)
    hooks.run()
    return hooks.play.posts


def test_nothing_to_do_is_nothing_done(hooks):
    assert hooks.tick() == 0
    assert hooks.play.posts.arrived == []


def test_events_arrive_once_in_order_and_signed(hooks):
    posts = told(hooks)
    assert hooks.turns() == 4
    assert posts.events() == ALL
    assert all(verified(SECRET, post) for post in posts.arrived)
    assert [post.headers["webhook-id"] for post in posts.arrived] == [post.event()["id"] for post in posts.arrived]
    numbers = [post.event()["sequence"] for post in posts.arrived]
    assert numbers == sorted(set(numbers))
    data = posts.arrived[-1].event()["data"]
    assert (data["model"], data["state"], data["workspace"]) == ("partner:1", "promoted", WORKSPACE)
    assert data["url"].endswith("/api/v1/workspaces/team/automations/loop/runs/1")
    assert hooks.turns() == 0
    ours = hooks.ours()
    assert (ours["waiting"], ours["delivered"]) == (0, 4)
    assert "failing" not in ours
    assert hooks.events(notices.UNTOLD) == []


def test_who_is_away_is_waited_for_and_everything_comes_in_order(hooks):
    posts = told(hooks)
    posts.answer = lambda post: 0
    assert hooks.turns() == 1
    assert hooks.after(3) == 0
    assert hooks.after(4) == 1
    failing = hooks.ours()["failing"]
    assert (failing["attempts"], failing["reason"]) == (2, "the receiver did not answer in time")
    assert posts.events() == ["triggered"] * 2
    posts.answer = lambda post: 204
    assert hooks.after(13) == 4
    assert posts.events()[2:] == ALL
    assert len({post.headers["webhook-id"] for post in posts.arrived[:3]}) == 1
    assert len({post.headers["webhook-timestamp"] for post in posts.arrived[:3]}) == 3
    assert "failing" not in hooks.ours()


def test_what_is_refused_is_tried_again_beside_what_follows(hooks):
    posts = told(hooks)
    posts.answer = lambda post: 500 if post.event()["type"].endswith(".gated") else 204
    hooks.turns()
    assert posts.events() == ALL
    refused = hooks.ours()["refused"]
    assert (refused["event"], refused["reason"], hooks.outbox()) == ("gated", "the receiver answered 500", ["gated"])
    posts.answer = lambda post: 204
    assert hooks.after(7) == 1
    assert (posts.events()[-1], hooks.outbox()) == ("gated", [])
    assert "refused" not in hooks.ours()


def test_what_nobody_takes_is_given_up_and_both_say_so(hooks):
    posts = told(hooks, on=("promoted",))
    posts.answer = lambda post: Answered(status=500, said="inner")
    for _ in range(100):
        hooks.after(1800)
    assert hooks.outbox() == []
    [said] = hooks.events(notices.UNTOLD, "automation:loop/1")
    attempts = said["attempts"]
    assert (said["webhook"], said["event"]) == ("mlops", "promoted")
    assert said["reason"] == f"the receiver answered 500; given up after {attempts} attempts"
    assert 20 < attempts < 45
    ours = hooks.ours()
    assert (ours["failed"], ours["failures"][0]["event"], ours["failures"][0]["said"]) == (1, "promoted", "inner")


def test_only_owners_see_what_receivers_say(hooks):
    posts = told(hooks)
    posts.answer = lambda post: Answered(status=503, said="inner-words")
    hooks.turns()
    assert "inner-words" in str(hooks.shown())
    for role in ("it-operator", "data-scientist", "reader"):
        assert "inner-words" not in str(hooks.shown(caller=webhooks.Caller("x", role, WORKSPACE)))
    assert "inner-words" not in str(hooks.events(notices.UNTOLD))


def test_when_one_is_given_up_those_that_waited_as_long_go_too(hooks):
    posts = told(hooks)
    posts.answer = lambda post: 0
    hooks.turns()
    assert hooks.after(DAY + 1) == 1
    assert hooks.outbox() == []
    reasons = [one["reason"] for one in hooks.events(notices.UNTOLD)]
    assert len(reasons) == 4
    assert all(reason.startswith("it waited too long behind others") for reason in reasons[1:])
    hooks.run()
    posts.answer = lambda post: 204
    assert hooks.after(2) == 4
    assert "failing" not in hooks.ours()


def test_gone_is_switched_off_with_its_reason(hooks, play):
    posts = told(hooks)
    posts.answer = lambda post: 410
    assert hooks.turns() == 1
    assert (hooks.shown()["phase"], hooks.outbox()) == ("Gone", [])
    assert [one["attempts"] for one in hooks.events(notices.UNTOLD)] == [1, 0, 0, 0]
    assert hooks.events("webhook.gone") == [{"reason": "the receiver answered 410: it wants no more"}]
    assert "410" in hooks.ours()["failures"][0]["reason"]
    hooks.run()
    assert "answered 410" in hooks.events(notices.UNTOLD)[-1]["reason"]
    webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": True})
    posts.answer = lambda post: 204
    hooks.run()
    assert (hooks.turns(), hooks.shown()["phase"]) == (4, "Active")


def test_who_is_switched_off_by_hand_keeps_what_waits(hooks, play):
    posts = told(hooks)
    webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": False})
    assert (hooks.turns(), len(hooks.outbox())) == (0, 4)
    webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": True})
    assert hooks.turns() == 4
    assert posts.events() == ALL


def test_a_busy_receiver_says_when(hooks):
    posts = told(hooks)
    posts.answer = lambda post: Answered(status=429, retry_after_s=600)
    hooks.turns()
    assert hooks.after(590) == 0
    assert hooks.after(11) == 1


def test_one_that_fails_does_not_hold_up_others(hooks):
    hooks.make("second")
    posts = told(hooks, notify=[{"webhook": "mlops"}, {"webhook": "second"}])
    hooks.play.deps.post.answer = lambda post: 0 if verified(SECRET, post) else 204
    hooks.turns()
    assert (hooks.ours("second")["delivered"], hooks.ours("second")["waiting"]) == (4, 0)
    assert hooks.ours("mlops")["waiting"] == 4
    assert len(posts.arrived) == 5


def test_more_webhooks_than_posts_at_a_time_all_have_their_turn(hooks):
    names = [f"hook{n}" for n in range(loop.AT_ONCE + 3)]
    for name in names:
        hooks.make(name)
    posts = told(hooks, on=("promoted", "registered"), notify=[{"webhook": n, "on": ["promoted"]} for n in names])
    assert hooks.tick() == loop.AT_ONCE
    assert hooks.tick() == 3
    assert len(posts.arrived) == len(names)


def test_posts_go_out_side_by_side(hooks):
    """Each waits for the other: one after another would never end."""
    hooks.make("second")
    posts = told(hooks, notify=[{"webhook": "mlops", "on": ["promoted"]}, {"webhook": "second", "on": ["promoted"]}])
    together = threading.Barrier(2, timeout=1.5)
    posts.answer = lambda post: 204
    post = hooks.play.deps.post.post

    class Both:
        def post(self, *args):
            together.wait()
            return post(*args)

    object.__setattr__(hooks.play.deps, "post", Both())
    assert hooks.tick() == 2


def test_killed_after_the_post_and_before_it_was_written_it_comes_again_by_the_same_id(hooks, monkeypatch):
    posts = told(hooks, on=("promoted",))
    settle = loop._settle

    def dies(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_settle", dies)
    with pytest.raises(KeyboardInterrupt):
        hooks.tick()
    monkeypatch.setattr(loop, "_settle", settle)
    assert hooks.turns() == 1
    assert len(posts.arrived) == 2
    assert len({post.headers["webhook-id"] for post in posts.arrived}) == 1
    assert hooks.outbox() == []


@pytest.mark.parametrize("status", [204, 500, 0, 410])
def test_who_was_overtaken_writes_nothing(hooks, play, status):
    """Another replica took the loop over and has written already, or the webhook was deleted meanwhile."""
    posts = told(hooks, on=("promoted",))

    def meanwhile(post):
        def work(now):
            [row] = now.tx.find("delivery", workspace=WORKSPACE)
            now.tx.delete("delivery", WORKSPACE, row.name)

        changed(play.deps, work)
        return status

    posts.answer = meanwhile
    assert hooks.tick() == 0
    assert hooks.shown()["phase"] == "Active"
    assert (hooks.ours()["delivered"], hooks.ours()["failed"]) == (0, 0)
    assert hooks.events(notices.UNTOLD) == []


def test_what_waits_for_a_webhook_that_has_vanished_is_dropped_and_told(hooks, play):
    """Two transactions that did not see each other may leave such."""
    told(hooks, on=("promoted",))
    changed(play.deps, lambda now: now.tx.delete("webhook", WORKSPACE, "mlops"))
    assert hooks.turns() == 0
    assert hooks.outbox() == []
    assert [one["reason"] for one in hooks.events(notices.UNTOLD)] == ["its webhook was deleted"]


def test_a_secret_that_cannot_be_read_any_more_is_a_failure_like_others(hooks, play):
    told(hooks, on=("promoted",))

    def spoil(now):
        row = now.tx.get("webhook", WORKSPACE, "mlops")
        now.tx.update(row.model_copy(update={"status": {**row.status, "secrets": [{"sealed": "x"}]}}))

    changed(play.deps, spoil)
    assert hooks.tick() == 1
    assert "sealed" in hooks.ours()["failing"]["reason"]


def test_many_that_wait_behind_one_do_not_hide_others(hooks, play, monkeypatch):
    monkeypatch.setattr(loop, "PAGE", 3)
    posts = told(hooks)
    posts.answer = lambda post: 0
    hooks.turns()
    hooks.make("second")
    told(hooks, on=("promoted",), hook="second")
    posts.answer = lambda post: 204
    assert hooks.tick() == 1
    assert posts.events()[-1] == "promoted"


def test_what_was_put_aside_is_looked_past_only_so_far(hooks, monkeypatch):
    monkeypatch.setattr(loop, "ASIDE", 2)
    posts = told(hooks)
    posts.answer = lambda post: 500
    assert hooks.turns() == 2
    assert posts.events() == ALL[:2]


def test_times_are_kept(hooks, play):
    posts = told(hooks, on=("promoted",))
    born = play.dice.now()
    play.dice.passes(60)
    hooks.turns()
    assert posts.arrived[0].headers["webhook-timestamp"] == str(int((born + timedelta(seconds=60)).timestamp()))
    assert posts.arrived[0].event()["time"] == born.isoformat()
