"""/lineage, /trace, /events, /audit over HTTP."""

from http_play import W, fault

JOB = {"command": "true", "environment": {"pip_requirements": ["numpy"]}, "compute": "c1"}


def test_what_happened_and_why(http):
    http.joined()
    owner = http.as_()
    name = owner.post(f"{W}/jobs", json=JOB).json()["name"]
    graph = owner.get(f"{W}/lineage", params={"node": f"job:{name}"}).json()
    assert [edge["relation"] for edge in graph["edges"]] == ["environment"]
    events = owner.get(f"{W}/events", params={"subject": f"job:{name}"}).json()
    assert [entry["verb"] for entry in events["items"]] == ["job.create"]
    later = owner.get(f"{W}/events", params={"after": events["next"], "subject": f"job:{name}"}).json()
    assert later["items"] == []
    assert owner.get(f"{W}/audit").json()["items"][-1]["actor"] == "owner"
    assert owner.get("/api/v1/admin/audit").json()["items"][0]["verb"] == "site.create"


def test_what_cannot_be_found(http):
    owner = http.as_()
    assert fault(owner.get(f"{W}/trace/nobody-1")) == (404, "NotFound")
    assert fault(owner.get(f"{W}/lineage", params={"node": "x", "direction": "sideways"})) == (400, "BadRequest")
    assert owner.get(f"{W}/lineage", params={"node": "job:none"}).json()["edges"] == []
