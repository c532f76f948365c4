"""Events, their signatures, and what becomes of one after each answer."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from ferryml.domain.automation import Run, State, Transition
from ferryml.domain.errors import Refused
from ferryml.domain.spec.automation import Automation, Notify
from ferryml.domain.webhooks import (
    MOST_EVIDENCE,
    Tried,
    automation_event,
    body_of,
    event_id,
    judge,
    key_of,
    notice,
    pause_s,
    ping_event,
    secret_of,
    signed,
    summary,
    told,
    wanted,
)

AT = datetime(2024, 5, 1, 3, tzinfo=UTC)
DAY = 86_400


def run(state="rejected", **evidence):
    move = Transition(at=AT, state=state, reason="no better", evidence=evidence)
    return Run(automation="loop", run="7", state=state, history=(move,), trigger={"kind": "manual", "by": "ann"})


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("", "triggered", ("triggered",)), ("triggered", "training", ()), ("triggered", "evaluating", ()),
        ("training", "evaluating", ("trained",)), ("training", "gated", ("trained", "gated")),
        ("training", "rejected", ("trained", "rejected")), ("training", "failed", ("failed",)),
        ("evaluating", "gated", ("evaluated", "gated")), ("evaluating", "rejected", ("evaluated", "rejected")),
        ("evaluating", "awaiting_approval", ("evaluated", "awaiting_approval")), ("evaluating", "failed", ("failed",)),
        ("awaiting_approval", "gated", ("gated",)), ("awaiting_approval", "rejected", ("rejected",)),
        ("gated", "registered", ("registered",)), ("registered", "rolling_out", ("rolling_out",)),
        ("rolling_out", "promoted", ("promoted",)), ("rolling_out", "rolled_back", ("rolled_back",)),
    ],
)  # fmt: skip
def test_each_move_has_its_names(before, after, names):
    assert told(before, after) == names


def test_every_name_that_can_be_asked_for_is_told_and_no_other():
    states = ("", *get_args(State))
    names = {name for before in states for after in get_args(State) for name in told(before, after)}
    listed = {value for name in names for value in Notify(webhook="w", on=(name,)).on}
    with pytest.raises(ValueError, match="on"):
        Notify(webhook="w", on=("training",))
    assert names == listed
    assert len(names) == 11


def test_who_asked_hears_once_and_who_named_nothing_hears_all():
    job = {"type": "command", "command": "x", "environment": "azureml:e:1", "outputs": {"m": {"type": "custom_model"}}}
    said = [{"webhook": "a", "on": "rejected"}, {"webhook": "b"}, {"webhook": "a", "on": ["rejected", "failed"]}]
    base = {"name": "n", "create_job": {"job": job}, "candidate": {"output": "m", "name": "m"}}
    spec = Automation.model_validate({**base, "notify": said})
    assert wanted(spec, "rejected") == ("a", "b")
    assert wanted(spec, "promoted") == ("b",)


def test_an_event_is_a_cloud_event_with_its_evidence_and_a_link():
    ident = event_id("epoch", "team", "loop", "7", "3", "rejected")
    kept = json.loads(json.dumps(notice(run(candidate=0.9, champion=0.95), "rejected", ident)))
    event = automation_event(kept, "team", "https://ferry.example", 42)
    assert {key: value for key, value in event.items() if key != "data"} == {
        "specversion": "1.0", "id": ident, "type": "dev.ferryml.automation.rejected", "subject": "loop/7",
        "source": "https://ferry.example/api/v1/workspaces/team/automations/loop", "time": "2024-05-01T03:00:00+00:00",
        "datacontenttype": "application/json", "sequence": "00000000000000000042",
    }  # fmt: skip
    data = event["data"]
    assert (data["workspace"], data["automation"], data["run"], data["state"]) == ("team", "loop", "7", "rejected")
    assert data["evidence"] == {"candidate": 0.9, "champion": 0.95}
    assert data["url"] == event["source"] + "/runs/7"
    assert body_of(event) == body_of(json.loads(body_of(event)))


def test_ids_tell_apart_what_differs_in_any_part():
    assert event_id("a", "b") == event_id("a", "b")
    assert len({event_id("e", "w", "a", "1", "2", n) for n in ("trained", "gated")} | {event_id("f", "w")}) == 3
    assert "." not in event_id("a")


def test_long_evidence_is_cut_to_what_is_short():
    evidence = {"code": "GateRejected", "candidate": 0.5, "big": ["x" * 1000] * 100, "late": 1}
    cut = summary(evidence)
    assert cut == {"truncated": True, "code": "GateRejected", "candidate": 0.5}
    assert summary({"text": "x" * 100_000})["text"] == "x" * 2000
    many = summary({str(n): n for n in range(100_000)})
    assert len(json.dumps(many)) < 1.1 * MOST_EVIDENCE
    assert summary({"a": [1]}) == {"a": [1]}


def test_a_ping():
    event = ping_event("evt_1", "team", "mlops", "https://f", AT)
    assert (event["type"], event["data"]) == ("dev.ferryml.webhook.ping", {"workspace": "team", "webhook": "mlops"})


# Signatures


def test_signatures_are_those_of_standard_webhooks():
    """The example of the specification's own libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, UTC)
    assert signed("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body, [secret]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip


def test_while_a_secret_changes_both_sign():
    old, new = secret_of("o" * 43), secret_of("n" * 43)
    both = signed("i", AT, b"{}", [new, old])["webhook-signature"].split()
    assert both == [signed("i", AT, b"{}", [one])["webhook-signature"] for one in (new, old)]


@pytest.mark.parametrize(
    "secret", ["", "hidden", "whsec_", "whsec_hidden!", "whsec_" + base64.b64encode(b"hidden").decode(),
               "whsec_" + base64.b64encode(b"x" * 65).decode(), base64.b64encode(b"x" * 32).decode()],
)  # fmt: skip
def test_what_is_no_secret_is_refused_and_not_repeated(secret):
    with pytest.raises(Refused) as caught:
        key_of(secret)
    assert "hidden" not in str(caught.value.as_dict())


def test_secrets_that_are_made_are_good():
    assert key_of(secret_of("x" * 43)) == b"x" * 43


def test_the_receiver_in_the_documentation_verifies():
    page = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "def verified" in block]
    there: dict = {}
    exec(example, there)
    secret, body = secret_of("n" * 43), b'{"a": "\xc3\xa9"}'
    headers = signed("evt_1", AT, body, [secret_of("o" * 43), secret])
    now = AT.timestamp

    def good(secret=secret, headers=headers, body=body, now=now):
        return there["verified"](secret, headers, body, now)

    assert good()
    assert not good(body=body + b" ")
    assert not good(secret=secret_of("x" * 43))
    assert not good(now=lambda: AT.timestamp() + 301)
    assert not good(headers={**headers, "webhook-id": "evt_2"})
    assert not good(headers={**headers, "webhook-timestamp": "x"})


# What an answer means


def verdict(status, attempts=1, waited=0.0, patience=DAY, asked=0.0):
    return judge(Tried("evt", status, attempts, timedelta(seconds=waited), asked), patience)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, "taken"), (204, "taken"), (299, "taken"), (410, "gone"), (0, "wait"), (429, "wait"), (503, "wait"),
        (504, "wait"), (502, "wait"), (408, "wait"), (500, "aside"), (400, "aside"), (404, "aside"), (302, "aside"),
        (401, "aside"), (199, "aside"),
    ],
)  # fmt: skip
def test_the_word_of_each_answer(status, word):
    assert verdict(status).word == word


@pytest.mark.parametrize("status", [0, 500, 302])
def test_patience_ends(status):
    assert verdict(status, 30, DAY - 5000).word != "over"
    assert verdict(status, 30, DAY - 60).word == "over"
    assert verdict(status, patience=0).word == "over"
    assert verdict(204, 30, 2 * DAY).word == "taken"


def test_pauses_double_up_to_an_hour_and_differ():
    for attempts in range(1, 40):
        whole = min(3600, 5 * 2 ** (attempts - 1))
        assert 0.8 * whole <= pause_s("evt", attempts) <= 1.2 * whole
    assert len({pause_s(f"evt{n}", 3) for n in range(50)}) == 50


def test_what_the_receiver_asks_for_is_kept_up_to_an_hour():
    assert verdict(429, asked=600).pause == timedelta(seconds=600)
    assert verdict(503, asked=1e9).pause == timedelta(seconds=3600)
    assert verdict(503, attempts=20, asked=1).pause > timedelta(seconds=2000)
