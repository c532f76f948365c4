"""/datas, /models, /environments, /codes over HTTP."""

import pytest

from http_play import W, fault


@pytest.mark.parametrize("plural", ["datas", "models", "codes"])
def test_versions(http, plural):
    owner = http.as_()
    folder = http.folder({"f": b"x"})
    body = {"name": "a", "version": "1", "path": f"content:tree:{folder.digest}:d"}
    assert owner.post(f"{W}/{plural}", json=body).status_code == 201
    assert fault(owner.post(f"{W}/{plural}", json=body)) == (409, "AlreadyExists")
    at = f"{W}/{plural}/a/versions/1"
    assert owner.get(f"{W}/{plural}/a/versions/@latest").json() == owner.get(at).json()
    assert owner.patch(at, json={"description": "d"}).json()["description"] == "d"
    assert owner.post(f"{at}/archive").json()["archived"]
    assert owner.get(f"{W}/{plural}").json()["items"] == []
    assert len(owner.get(f"{W}/{plural}", params={"archived": "any", "name": "a"}).json()["items"]) == 1
    assert not owner.post(f"{at}/restore").json()["archived"]


def test_environments_and_pages(http):
    owner = http.as_()
    for _ in range(3):
        owner.post(f"{W}/environments", json={"name": "e", "image": "python:3.11"})
    first = owner.get(f"{W}/environments", params={"limit": 2}).json()
    rest = owner.get(f"{W}/environments", params={"limit": 2, "after": first["next"]}).json()
    assert [item["version"] for item in (*first["items"], *rest["items"])] == ["3", "2", "1"]


def test_components_say_that_they_are_not_there_yet(http):
    assert fault(http.as_().post(f"{W}/components", json={"name": "c"})) == (400, "NotSupported")


@pytest.mark.parametrize("path", ["a/versions/@", "a/versions/..", "a/versions/%2e%2e", "%00/versions/1"])
def test_odd_addresses_are_refused(http, path):
    assert http.as_().get(f"{W}/datas/{path}").status_code in (400, 404)
