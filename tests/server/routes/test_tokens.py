"""/tokens over HTTP."""

from http_play import W, fault


def test_tokens_of_a_workspace_and_of_all(http):
    owner = http.as_()
    made = owner.post(f"{W}/tokens", json={"name": "ci", "role": "reader"})
    assert made.status_code == 201
    assert http.client(made.json()["token"]).get(W).status_code == 200
    listed = owner.get(f"{W}/tokens").json()["items"]
    assert [item["name"] for item in listed] == ["ci"]
    assert "token" not in listed[0]
    assert owner.delete(f"{W}/tokens/{made.json()['id']}").status_code == 204
    everywhere = owner.post("/api/v1/admin/tokens", json={"name": "it", "role": "it-operator"}).json()
    assert everywhere["workspace"] == "*"
    assert owner.post("/api/v1/workspaces/*/tokens", json={"name": "x", "role": "reader"}).status_code == 201


def test_bodies_are_checked(http):
    owner = http.as_()
    for body in ({"name": "", "role": "reader"}, {"name": "x", "role": "root"}, {"name": "x"}):
        assert fault(owner.post(f"{W}/tokens", json=body)) == (400, "BadRequest")
    assert fault(owner.delete(f"{W}/tokens/none")) == (404, "NotFound")
