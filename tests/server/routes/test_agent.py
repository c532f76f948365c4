"""/agent/v1 over HTTP."""

from control_play import T0
from http_play import fault


def test_enrolment_is_answered_in_full_and_once(http):
    site = http.joined()
    assert site.enrolled.json()["site"] == "cloud"
    body = {"join_token": "join_cloud_x", "agent_key": "a", "gateway_key": "b", "version": "1"}
    assert fault(http.client().post("/agent/v1/enrol", json=body)) == (401, "JoinTokenUsed")
    assert fault(http.client().post("/agent/v1/enrol", json={**body, "extra": 1})) == (400, "BadRequest")


def test_heartbeats(http):
    agent = http.joined().as_("agent")
    beat = {"version": "2", "at": T0.isoformat(), "inventory": {"cpus": 2}}
    assert "server_time" in agent.post("/agent/v1/heartbeat", json=beat).json()
    assert http.as_().get("/api/v1/sites/cloud").json()["version"] == "2"


def test_an_empty_list_of_wishes_has_the_epoch(http):
    agent = http.joined().as_("agent")
    told = agent.get("/agent/v1/wishes", params={"after": 0, "epoch": "", "wait": 0}).json()
    assert set(told) == {"epoch", "cursor", "server_time"}
    assert agent.get("/agent/v1/wishes", params={"epoch": "other", "wait": 9}).json()["relist"]
    assert "relist" not in agent.get("/agent/v1/wishes", params={"epoch": told["epoch"], "wait": 0}).json()


def test_unknown_reports_become_orphans(http):
    agent = http.joined().as_("agent")
    status = {"kind": "Job", "phase": "Running"}
    report = {"uid": "job.team.lost", "generation": 1, "version": 1, "status": status, "at": T0.isoformat()}
    told = agent.post("/agent/v1/reports", json={"epoch": "", "reports": [report]}).json()
    assert told["unknown"] == ["job.team.lost"]
    assert "job.team.lost" in http.as_().get("/api/v1/sites/cloud").json()["orphans"]
