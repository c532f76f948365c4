"""Webhooks as people make, see, change, try and remove them; what is secret stays so."""

import json

import pytest

from control_play import OWNER, WORKSPACE, Play
from ferryml.control import automations, webhooks
from ferryml.control.context import Caller
from ferryml.control.ports import Answered
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from webhook_play import SECRET, URL, Hooks, verified

IT = Caller("ida", "it-operator", WORKSPACE)
READER = Caller("rob", "reader", WORKSPACE)
SCIENTIST = Caller("sue", "data-scientist", WORKSPACE)


@pytest.fixture
def hooks(play):
    return Hooks(play)


def everything(play):
    """All that is kept, as text."""
    with play.store.read() as tx:
        rows = [row.model_dump(mode="json") for kind in ("webhook", "delivery") for row in tx.find(kind)]
        return json.dumps([rows, *(one.model_dump(mode="json") for one in (*tx.audits("team"), *tx.events("team")))])


def test_a_secret_that_is_made_is_shown_once(hooks, play):
    made = hooks.make()
    assert made["secret"].startswith("whsec_")
    assert "secret" not in hooks.shown()
    assert made["secret"] not in everything(play)
    webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    assert verified(made["secret"], play.posts.arrived[-1])


def test_a_secret_that_is_given_is_not_repeated(hooks, play):
    assert "secret" not in hooks.make(secret=SECRET)
    assert SECRET not in everything(play)
    webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    assert verified(SECRET, play.posts.arrived[-1])


@pytest.mark.parametrize("secret", ["", "short", 7, {"a": 1}, "whsec_eA=="])
def test_a_bad_secret_is_refused(hooks, secret):
    with pytest.raises(Refused) as caught:
        hooks.make(secret=secret)
    assert caught.value.code == "BadValue"


def test_the_url_is_kept_sealed_and_shown_to_who_may_write_it(hooks, play):
    hooks.make()
    assert "hidden" not in everything(play)
    assert [hooks.shown(caller=one)["url"] for one in (OWNER, IT)] == [URL, URL]
    assert {hooks.shown(caller=one)["url"] for one in (READER, SCIENTIST)} == {"https://hooks.example/..."}
    listed = webhooks.list_webhooks(play.deps, READER, WORKSPACE, 0, 10)["items"]
    assert [one["url"] for one in listed] == ["https://hooks.example/..."]


@pytest.mark.parametrize("caller", [READER, SCIENTIST])
def test_only_owners_and_it_change_them(hooks, play, caller):
    hooks.make()
    for act in (
        lambda: webhooks.create(play.deps, caller, WORKSPACE, {"name": "x", "url": URL}),
        lambda: webhooks.update(play.deps, caller, WORKSPACE, "mlops", {"enabled": False}),
        lambda: webhooks.rotate(play.deps, caller, WORKSPACE, "mlops", None, False),
        lambda: webhooks.ping(play.deps, caller, WORKSPACE, "mlops"),
        lambda: webhooks.delete(play.deps, caller, WORKSPACE, "mlops"),
    ):
        with pytest.raises(Forbidden):
            act()
    webhooks.update(play.deps, IT, WORKSPACE, "mlops", {"description": "d"})


def test_plain_http_only_where_the_server_allows_it(hooks, tmp_path):
    with pytest.raises(Refused, match="webhook_allow_http"):
        hooks.make(url="http://hooks.example/x")
    hooks.make()
    with pytest.raises(Refused, match="webhook_allow_http"):
        webhooks.update(hooks.play.deps, OWNER, WORKSPACE, "mlops", {"url": "http://hooks.example/x"})
    other = Play(tmp_path / "other", webhook_allow_http=True)
    assert Hooks(other).make(url="http://hooks.example/x")["url"] == "http://hooks.example/x"
    other.close()


def test_http_that_was_allowed_once_is_not_sent_any_more(tmp_path):
    before = Play(tmp_path, webhook_allow_http=True)
    Hooks(before).make(url="http://hooks.example/x")
    before.settings = before.settings.model_copy(update={"webhook_allow_http": False})
    deps = before.deps
    object.__setattr__(deps, "settings", before.settings)
    told = webhooks.ping(deps, OWNER, WORKSPACE, "mlops")
    assert (told["ok"], told["code"], before.posts.arrived) == (False, "BadValue", [])
    before.close()


def test_fields_change_and_name_and_secret_do_not(hooks, play):
    hooks.make()
    changed = webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"url": "https://b.example/y", "tags": {"a": 1}})
    assert (changed["url"], changed["tags"]) == ("https://b.example/y", {"a": "1"})
    for change in ({"name": "other"}, {"secret": SECRET}, {"type": "x"}, {"colour": "red"}):
        with pytest.raises(Refused):
            webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", change)
    with pytest.raises(NotFound):
        webhooks.update(play.deps, OWNER, WORKSPACE, "none", {})


def test_switched_off_and_on(hooks, play):
    hooks.make()
    assert webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": False})["phase"] == "Disabled"
    assert webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"description": "d"})["phase"] == "Disabled"
    assert webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": True})["phase"] == "Active"
    assert hooks.make("late", enabled=False)["phase"] == "Disabled"


def signatures(play):
    webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    post = play.posts.arrived[-1]
    return post, len(post.headers["webhook-signature"].split(" "))


def test_the_old_secret_signs_for_a_day_beside_the_new_one(hooks, play):
    hooks.make(secret=SECRET)
    new = webhooks.rotate(play.deps, OWNER, WORKSPACE, "mlops", None, False)
    assert new["old_valid_until"]
    post, count = signatures(play)
    assert (verified(SECRET, post), verified(new["secret"], post), count) == (True, True, 2)
    play.dice.passes(86_401)
    post, count = signatures(play)
    assert (verified(SECRET, post), verified(new["secret"], post), count) == (False, True, 1)


def test_a_revoked_secret_signs_nothing(hooks, play):
    hooks.make(secret=SECRET)
    new = webhooks.rotate(play.deps, OWNER, WORKSPACE, "mlops", None, True)
    post, count = signatures(play)
    assert (verified(SECRET, post), verified(new["secret"], post), count) == (False, True, 1)
    assert "secret" not in webhooks.rotate(play.deps, OWNER, WORKSPACE, "mlops", SECRET, False)
    for _ in range(5):
        webhooks.rotate(play.deps, OWNER, WORKSPACE, "mlops", None, False)
    assert signatures(play)[1] == webhooks.MOST_SECRETS


def test_a_ping_says_what_became_of_it(hooks, play):
    hooks.make()
    play.posts.answer = lambda post: Answered(status=500, said="inner")
    told = webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    assert (told["ok"], told["status"], told["said"]) == (False, 500, "inner")
    assert told["latency_ms"] >= 0
    assert "inner" not in str(webhooks.ping(play.deps, IT, WORKSPACE, "mlops"))
    play.posts.answer = lambda post: 0
    told = webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    assert (told["ok"], told["status"], told["code"]) == (False, None, "Unavailable")
    post = play.posts.arrived[0]
    assert (post.url, post.event()["type"]) == (URL, "dev.ferryml.webhook.ping")
    assert post.headers["content-type"].startswith("application/cloudevents+json")
    assert len({one.headers["webhook-id"] for one in play.posts.arrived}) == 3


def test_one_that_is_named_is_not_deleted(hooks, play):
    hooks.make()
    hooks.automation("a")
    hooks.automation("b")
    with pytest.raises(Conflict) as caught:
        webhooks.delete(play.deps, OWNER, WORKSPACE, "mlops")
    assert (caught.value.code, caught.value.details) == ("InUse", {"users": ["automation a", "automation b"]})
    for name in ("a", "b"):
        automations.delete(play.deps, OWNER, WORKSPACE, name)
    webhooks.delete(play.deps, OWNER, WORKSPACE, "mlops")
    with pytest.raises(NotFound):
        hooks.shown()


def test_nor_is_one_that_a_run_under_way_names(hooks, play):
    hooks.make()
    hooks.automation(approval="required")
    hooks.run()
    hooks.automation(approval="required", notify=[])
    with pytest.raises(Conflict, match="run 1 of automation loop"):
        webhooks.delete(play.deps, OWNER, WORKSPACE, "mlops")


def test_what_waits_goes_with_it(hooks, play):
    hooks.make()
    hooks.automation()
    hooks.run()
    assert hooks.outbox()
    automations.delete(play.deps, OWNER, WORKSPACE, "loop")
    webhooks.delete(play.deps, OWNER, WORKSPACE, "mlops")
    assert (hooks.outbox(), hooks.turns(), play.posts.arrived) == ([], 0, [])


def test_every_change_is_audited(hooks, play):
    hooks.make()
    webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": True})
    webhooks.rotate(play.deps, OWNER, WORKSPACE, "mlops", SECRET, True)
    webhooks.ping(play.deps, OWNER, WORKSPACE, "mlops")
    webhooks.delete(play.deps, OWNER, WORKSPACE, "mlops")
    with play.store.read() as tx:
        verbs = [one.verb for one in tx.audits(WORKSPACE) if one.subject == "webhook:mlops"]
    assert verbs == [f"webhook.{verb}" for verb in ("create", "update", "rotate-secret", "test", "delete")]
    assert "hidden" not in everything(play)
