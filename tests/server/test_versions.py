"""Sites of other versions over HTTP: answers say little, reports may say more than is known."""

import pytest

from control_play import T0
from http_play import fault

UID = "job.team.train"


def report(uid=UID, **changes):
    status = {"kind": "Job", "phase": "Running", **changes.pop("status", {})}
    return {"uid": uid, "generation": 1, "version": 1, "status": status, "at": T0.isoformat(), **changes}


@pytest.fixture
def agent(http):
    made = http.joined().as_("agent")
    http.job(name="train")
    http.turns()
    return made


def test_answers_say_only_what_is_not_their_default(agent):
    told = agent.get("/agent/v1/wishes", params={"after": 0}).json()
    assert set(told) == {"epoch", "cursor", "wishes", "server_time"}
    wish = next(one for one in told["wishes"] if one["uid"] == UID)
    assert set(wish) == {"uid", "generation", "cursor", "order", "grant"}
    assert wish["order"]["kind"] == "Job"
    assert {"cancel", "timeout_s", "namespace", "max_attempts"} & set(wish["order"]) == set()
    assert agent.get("/agent/v1/wishes", params={"epoch": "other"}).json()["relist"] is True
    beat = agent.post("/agent/v1/heartbeat", json={"version": "2", "at": T0.isoformat()}).json()
    assert set(beat) == {"server_time"}


def test_fields_that_are_not_known_are_passed_over(http, agent):
    told = report(status={"mood": "good", "usage": {"cpu_seconds": 1}}, urgent=True)
    body = {"epoch": "", "reports": [told], "compressed": False}
    assert agent.post("/agent/v1/reports", json=body).json()["accepted"] == [[UID, 1, 1]]
    http.turns()
    assert http.shown("train")["status"] == "Running"
    beat = {"version": "2", "at": T0.isoformat(), "mood": "good"}
    assert agent.post("/agent/v1/heartbeat", json=beat).status_code == 200


@pytest.mark.parametrize("status", [{"kind": "Hologram"}, {"phase": 7}, {"findings": [{"level": "dire"}]}])
def test_a_report_that_cannot_be_understood_waits_and_the_others_count(http, agent, caplog, status):
    strange = report("job.team.strange", status=status)
    told = agent.post("/agent/v1/reports", json={"epoch": "", "reports": [strange, report()]}).json()
    assert told["accepted"] == [[UID, 1, 1]]
    assert "unknown" not in told
    assert "job.team.strange" in caplog.text
    http.turns()
    assert http.shown("train")["status"] == "Running"


@pytest.mark.parametrize(
    "body",
    [
        {"reports": [report(), {"uid": "job.team.x"}]}, {"reports": [report(), 7]}, {"reports": 7}, {"epoch": []}, [],
        {"reports": [report(version="x", status={"kind": "Hologram"})]}, {"epoch": "x" * 101},
    ],
)  # fmt: skip
def test_what_is_no_report_at_all_is_refused(agent, body):
    assert fault(agent.post("/agent/v1/reports", json=body)) == (400, "BadRequest")


def test_a_heartbeat_must_say_what_is_needed(agent):
    assert fault(agent.post("/agent/v1/heartbeat", json={"mood": "good"})) == (400, "BadRequest")
