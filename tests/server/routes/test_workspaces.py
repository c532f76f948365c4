"""/workspaces over HTTP."""

from http_play import W, fault


def test_a_workspace_s_whole_life(http):
    owner = http.as_()
    assert owner.post("/api/v1/workspaces", json={"name": "lab"}).status_code == 201
    assert fault(owner.post("/api/v1/workspaces", json={"name": "lab"})) == (409, "AlreadyExists")
    assert [item["name"] for item in owner.get("/api/v1/workspaces").json()["items"]] == ["team", "lab"]
    assert owner.patch("/api/v1/workspaces/lab", json={"description": "d"}).json()["description"] == "d"
    assert owner.delete("/api/v1/workspaces/lab").status_code == 204
    assert fault(owner.get("/api/v1/workspaces/lab")) == (404, "NotFound")


def test_aliases(http):
    owner = http.as_()
    assert owner.put(f"{W}/aliases", json={"compute": {"cpu": "c1"}}).json()["compute"] == {"cpu": "c1"}
    assert owner.get(f"{W}/aliases").json()["compute"] == {"cpu": "c1"}
    assert fault(owner.put(f"{W}/aliases", json={"computes": {}})) == (400, "UnknownField")


def test_the_key_that_signs_tokens_changes(http):
    at = f"{W}/endpoint-tokens/rotate"
    made = http.as_("owner").post(at, json={})
    assert (made.status_code, len(made.json()["keys"])) == (200, 1)
    assert http.as_("owner").post(at, json={"revoke": True}).json() != made.json()
    assert http.as_("owner").post(at, json={"revoke": "often"}).status_code == 400
    assert http.as_("data-scientist").post(at, json={}).status_code == 403
