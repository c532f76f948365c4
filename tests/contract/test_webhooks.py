"""Webhooks on every database: the outbox with its move, two replicas at once, and nothing lost or told for nothing."""

import threading

import pytest

from control_play import OWNER, WORKSPACE, Play
from ferryml.control import automations, notices, webhooks
from ferryml.domain.errors import Conflict
from webhook_play import SECRET, Hooks, verified

ALL = ["triggered", "gated", "registered", "promoted"]


@pytest.fixture
def hooks(store_url, tmp_path):
    play = Play(tmp_path, database_url=store_url)
    made = Hooks(play)
    made.make(secret=SECRET)
    yield made
    play.close()


def together(act, count):
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_run_is_told_in_order(hooks):
    hooks.automation()
    hooks.run()
    posts = hooks.play.posts
    posts.answer = lambda post: 0
    assert hooks.turns() == 1
    posts.answer = lambda post: 204
    assert hooks.after(7) == 4
    assert posts.events() == ["triggered", *ALL]
    assert all(verified(SECRET, post) for post in posts.arrived)
    assert (hooks.ours()["delivered"], hooks.outbox()) == (4, [])


def test_two_replicas_at_once_tell_everything_and_write_it_once(hooks):
    """Whose lease has run out may still be at it: receivers may hear twice, by one id; figures are not doubled."""
    hooks.automation()
    for _ in range(3):
        hooks.run()
    assert len(hooks.outbox()) == 12
    together(hooks.turns, 3)
    hooks.turns()
    ids = [post.headers["webhook-id"] for post in hooks.play.posts.arrived]
    assert len(set(ids)) == 12
    assert (hooks.ours()["delivered"], hooks.outbox()) == (12, [])
    firsts = list(dict.fromkeys(post.event()["sequence"] for post in hooks.play.posts.arrived))
    assert firsts == sorted(firsts)


def test_deleted_while_it_is_told(hooks):
    hooks.automation(on=("promoted",))
    hooks.run()
    automations.delete(hooks.play.deps, OWNER, WORKSPACE, "loop")

    def meanwhile(post):
        webhooks.delete(hooks.play.deps, OWNER, WORKSPACE, "mlops")
        return 500

    hooks.play.posts.answer = meanwhile
    assert hooks.turns() == 0
    assert (hooks.outbox(), hooks.events(notices.UNTOLD)) == ([], [])


def test_changed_while_it_is_told(hooks):
    """What people write and what the loop writes of the same webhook are both kept."""
    hooks.automation(on=("promoted",))
    hooks.run()

    def meanwhile(post):
        webhooks.update(hooks.play.deps, OWNER, WORKSPACE, "mlops", {"description": "changed"})
        return 204

    hooks.play.posts.answer = meanwhile
    assert hooks.turns() == 1
    assert (hooks.shown()["description"], hooks.ours()["delivered"]) == ("changed", 1)


def test_a_name_is_taken_once_and_one_in_use_stays(hooks):
    refused = []

    def make():
        try:
            hooks.make("twice")
        except Conflict as error:
            refused.append(error.code)

    together(make, 4)
    assert refused == ["AlreadyExists"] * 3
    hooks.automation(hook="twice")
    with pytest.raises(Conflict):
        webhooks.delete(hooks.play.deps, OWNER, WORKSPACE, "twice")
