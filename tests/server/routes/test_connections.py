"""Connections over HTTP, both ends."""

from http_play import W, fault


def test_bytes_go_from_one_end_to_the_other(http):
    site = http.joined()
    agent, owner = site.as_("agent"), http.as_()
    beat = {"version": "2", "at": http.dice.now().isoformat(), "capabilities": ["connect"]}
    assert agent.post("/agent/v1/heartbeat", json=beat).status_code == 200
    job = {"command": "true", "environment": {"pip_requirements": ["numpy"]}, "compute": "c1"}
    name = owner.post(f"{W}/jobs", json=job).json()["name"]
    assert fault(owner.post(f"{W}/jobs/{name}/connections", json={})) == (409, "NotRunning")
    http.turns()
    http.reports("cloud", name, "Running")
    http.turns()
    assert fault(owner.post(f"{W}/jobs/{name}/connections", json={"command": "sh"})) == (400, "BadRequest")
    made = owner.post(f"{W}/jobs/{name}/connections", json={"command": ["sh"]})
    assert made.status_code == 201, made.text
    at, there = f"{W}/connections/{made.json()['id']}", f"/agent/v1/connections/{made.json()['id']}"
    assert [each["id"] for each in agent.get("/agent/v1/connections").json()["connections"]] == [made.json()["id"]]
    assert owner.post(f"{at}/in", json={"data": "YWJj"}).json() == {"size": 3}
    assert agent.get(f"{there}/in", params={"offset": 1}).json()["data"] == "YmM="
    assert agent.post(f"{there}/out", json={"data": "eA==", "over": True}).json() == {"size": 1}
    assert owner.get(f"{at}/out").json() == {"offset": 0, "data": "eA==", "over": False}
    assert owner.get(f"{at}/out", params={"offset": 1}).json()["over"]
    assert owner.delete(at).status_code == 204
    for client, path in ((http.as_("reader", "team"), f"{at}/out"), (http.client(), f"{there}/in")):
        assert client.get(path).status_code in (401, 403)
