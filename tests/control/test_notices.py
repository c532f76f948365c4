"""What moves of automations put into the outbox: with the move itself, once, and bounded."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import notices, webhooks
from ferryml.control.context import changed
from ferryml.control.loops import automations as loop
from ferryml.domain.errors import Refused
from webhook_play import Hooks

ALL = ["triggered", "gated", "registered", "promoted"]


@pytest.fixture
def hooks(play):
    made = Hooks(play)
    made.make()
    return made


def failed(hooks):
    return hooks.events(notices.UNTOLD, "automation:loop/1")


def test_an_automation_names_webhooks_that_there_are(hooks):
    hooks.automation()
    with pytest.raises(Refused, match="did you mean 'mlops'") as caught:
        hooks.automation(hook="mlop")
    assert caught.value.code == "BadReference"
    with pytest.raises(Refused, match="no webhook 'far-away'"):
        hooks.automation(hook="far-away")


def test_every_move_that_was_asked_for_waits_in_order(hooks):
    hooks.automation()
    hooks.run()
    assert hooks.outbox() == ALL
    assert hooks.ours()["waiting"] == 4


def test_only_what_was_asked_for(hooks):
    hooks.automation(on=("promoted", "rejected"))
    hooks.run()
    assert hooks.outbox() == ["promoted"]


def test_several_hear_of_the_same_event_by_the_same_id(hooks, play):
    hooks.make("second")
    both = [{"webhook": "mlops", "on": ["promoted"]}, {"webhook": "second", "on": ["promoted"]}]
    hooks.automation(notify=both)
    hooks.run()
    with play.store.read() as tx:
        rows = tx.find("delivery", workspace=WORKSPACE)
    assert {row.parent for row in rows} == {"mlops", "second"}
    assert len({row.spec["id"] for row in rows}) == 1


def test_each_run_has_ids_of_its_own(hooks, play):
    hooks.automation(on=("promoted",))
    hooks.run()
    hooks.run()
    with play.store.read() as tx:
        assert len({row.spec["id"] for row in tx.find("delivery", workspace=WORKSPACE)}) == 2


def test_a_move_that_is_not_written_tells_nothing(hooks, play, monkeypatch):
    """As if the server had been killed before the commit: neither is there; then both are."""
    hooks.automation(on=("promoted",))
    tell, killed = notices.tell, []

    def dies(now, row, before, run, most):
        tell(now, row, before, run, most)
        if run.state == "promoted" and not killed:
            killed.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.notices, "tell", dies)
    with pytest.raises(KeyboardInterrupt):
        hooks.run()
    assert hooks.outbox() == []
    with play.store.read() as tx:
        assert tx.get("automation_run", WORKSPACE, "loop-1").phase == "registered"
    while loop.tick(play.deps):
        pass
    assert hooks.outbox() == ["promoted"]


def test_who_is_switched_off_hears_nothing_and_the_automation_says_so(hooks, play):
    hooks.automation(on=("promoted",))
    webhooks.update(play.deps, OWNER, WORKSPACE, "mlops", {"enabled": False})
    hooks.run()
    assert hooks.outbox() == []
    assert failed(hooks) == [{"webhook": "mlops", "event": "promoted", "reason": "webhook mlops is switched off"}]


def test_a_webhook_that_has_vanished_holds_up_no_run(hooks, play):
    hooks.automation(on=("promoted",))
    changed(play.deps, lambda now: now.tx.delete("webhook", WORKSPACE, "mlops"))
    hooks.run()
    assert failed(hooks)[0]["reason"] == "there is no webhook 'mlops' any more"


def test_only_so_many_wait(hooks, play):
    object.__setattr__(play.deps, "settings", play.settings.model_copy(update={"webhook_waiting": 3}))
    hooks.automation()
    hooks.run()
    assert hooks.outbox() == ALL[:3]
    assert failed(hooks) == [
        {"webhook": "mlops", "event": "promoted", "reason": "3 events wait for webhook mlops already"}
    ]
