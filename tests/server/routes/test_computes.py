"""/computes and /datastores over HTTP."""

from http_play import W, fault


def test_computes(http):
    http.joined()
    owner = http.as_()
    assert owner.get(f"{W}/computes/c1").json()["provisioning_state"] == "Succeeded"
    assert [item["name"] for item in owner.get(f"{W}/computes").json()["items"]] == ["c1"]
    assert owner.patch(f"{W}/computes/c1", json={"tags": {"a": 1}}).json()["tags"] == {"a": "1"}
    assert fault(owner.patch(f"{W}/computes/c1", json={"site": "x"})) == (400, "NotSupported")
    assert owner.delete(f"{W}/computes/c1").status_code == 204
    assert fault(owner.delete(f"{W}/computes/c1")) == (404, "ComputeNotFound")


def test_datastores(http):
    owner = http.as_()
    made = owner.post(f"{W}/datastores", json={"name": "lake", "type": "s3", "bucket": "b"})
    assert made.status_code == 201
    assert owner.get(f"{W}/datastores/lake").json()["bucket"] == "b"
    assert len(owner.get(f"{W}/datastores").json()["items"]) == 1
    assert owner.patch(f"{W}/datastores/lake", json={"region": "r"}).json()["region"] == "r"
    credentials = {"name": "bad", "type": "s3", "bucket": "b", "credentials": {"key": "secret"}}
    assert fault(owner.post(f"{W}/datastores", json=credentials)) == (400, "NotSupported")
    assert owner.delete(f"{W}/datastores/lake").status_code == 204
