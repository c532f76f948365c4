"""The doctor of a site, seen from the server."""

import contextlib

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import site_doctor, sites
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, Refused
from ferryml.domain.link import PROTOCOL, Heartbeat
from site_answers import a_cluster, a_finding, answering, told

SCIENTIST = Caller("dan", "data-scientist", WORKSPACE)


def findings(play, name="kube", **more):
    return site_doctor.findings(play.deps, SCIENTIST, name, **more)


def levels(found):
    return {each["check"]: each["level"] for each in found["findings"]}


def test_what_the_site_found_last_is_shown_to_all(play):
    a_cluster(
        play,
        doctor=[a_finding("warning")],
        namespace_findings={"ml": [a_finding("failed", "rights", "PermissionMissing")]},
    )
    found = findings(play)
    assert levels(found) == {"link": "ok", "version": "ok", "dns": "warning", "rights": "failed"}
    assert (found["result"], found["answered"]) == ("failed", True)


def test_a_fresh_look_is_asked_for_and_waited_for(play):
    a_cluster(play, doctor=[a_finding()])
    with answering(play, "kube", {"doctor": [a_finding("ok")]}) as asked:
        nonce = site_doctor.examine(play.deps, OWNER, "kube")["asked"]
        found = findings(play, asked=nonce, wait_s=10)
    assert (asked[-1]["doctor"], asked[-1]["again"]) == (True, False)
    with answering(play, "kube", {"doctor": [a_finding("ok")]}) as asked:
        nonce = site_doctor.examine(play.deps, OWNER, "kube", again=True)["asked"]
        assert findings(play, asked=nonce, wait_s=10)["answered"]
    assert (asked[-1]["doctor"], asked[-1]["again"]) == (True, True)
    assert (found["answered"], found["result"]) == (True, "ok")


def test_only_operators_ask(play):
    a_cluster(play)
    with pytest.raises(Forbidden):
        site_doctor.examine(play.deps, SCIENTIST, "kube")


def test_a_cluster_that_is_away_cannot_be_examined(play):
    a_cluster(play)
    with pytest.raises(Conflict) as caught:
        site_doctor.examine(play.deps, OWNER, "kube")
    assert "ferry agent doctor" in caught.value.hint


def test_a_site_that_never_came(play):
    sites.create(play.deps, OWNER, "later")
    found = findings(play, "later")
    assert levels(found) == {"link": "failed"}
    assert "ferry site token" in found["findings"][0]["fix"]


def test_a_machine_says_little(play):
    play.site()
    assert site_doctor.examine(play.deps, OWNER, "cloud") == {"asked": ""}
    play.beat("cloud", disk_free_bytes=5)
    assert levels(findings(play, "cloud")) == {"link": "ok", "version": "ok", "disk": "failed"}
    play.beat("cloud", disk_free_bytes=2**40)
    assert findings(play, "cloud")["result"] == "ok"


def test_an_older_agent_is_told_so(play):
    a_cluster(play)
    sites.heartbeat(play.deps, "kube", Heartbeat(version="0", protocol=0, at=play.dice.now()))
    assert levels(findings(play))["version"] == "warning"
    told(play, "kube")


@pytest.mark.parametrize(
    ("protocol", "level", "code"),
    [
        (PROTOCOL, "ok", "AgentTooOld"), (PROTOCOL - 1, "warning", "AgentTooOld"),
        (PROTOCOL - 2, "failed", "AgentTooOld"), (PROTOCOL + 1, "failed", "NotSupported"),
    ],
)  # fmt: skip
def test_the_agents_age_is_judged(play, protocol, level, code):
    a_cluster(play)
    beat = Heartbeat(protocol=protocol, version="0.9", at=play.dice.now())
    with contextlib.suppress(Refused):
        sites.heartbeat(play.deps, "kube", beat)
    found = next(each for each in findings(play)["findings"] if each["check"] == "version")
    assert (found["level"], found["code"]) == (level, code)


def test_orders_that_the_agent_cannot_read_are_counted_and_some_named(play):
    a_cluster(play)
    assert "orders" not in levels(findings(play))
    unread = {f"job.team.{name}": "order.Job.priority" for name in "abcd"}
    inventory = {"unread": unread, "unread_count": 25}
    sites.heartbeat(play.deps, "kube", Heartbeat(version="1", inventory=inventory, at=play.dice.now()))
    found = next(each for each in findings(play)["findings"] if each["check"] == "orders")
    assert (found["level"], found["code"]) == ("warning", "AgentTooOld")
    assert "25 of the orders" in found["cause"]
    assert "job.team.c: order.Job.priority" in found["evidence"]
    assert "job.team.d" not in found["evidence"]
