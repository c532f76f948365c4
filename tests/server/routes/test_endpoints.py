"""/online-endpoints over HTTP: the whole turn, and who may not."""

import pytest

from endpoint_play import NAME, EndpointPlay
from http_play import W
from spread_play import SpreadPlay

ALL = f"{W}/online-endpoints"
ONE = f"{ALL}/{NAME}"
BLUE = f"{ONE}/deployments/blue"


@pytest.fixture
def site(http):
    http.site()
    return EndpointPlay(http)


@pytest.fixture
def owner(http):
    return http.as_("owner")


def test_one_whole_turn(site, owner):
    made = owner.post(ALL, json={"name": NAME, "compute": "c1"})
    assert (made.status_code, made.json()["provisioning_state"]) == (201, "Creating")
    site.says()
    assert owner.get(ONE).json()["scoring_uri"].endswith("/score")
    assert [one["name"] for one in owner.get(ALL).json()["items"]] == [NAME]
    made = owner.post(f"{ONE}/deployments", params={"all_traffic": True}, json=site.document())
    assert (made.status_code, made.json()["provisioning_state"]) == (201, "Creating")
    site.says("promoted")
    site.says()
    assert owner.get(BLUE).json()["traffic"] == 100
    assert [one["name"] for one in owner.get(f"{ONE}/deployments").json()["items"]] == ["blue"]
    assert owner.patch(BLUE, json={"description": "x"}).json()["description"] == "x"
    assert owner.put(BLUE, json=site.document(tags={"a": "b"})).json()["tags"] == {"a": "b"}
    site.says("promoted")
    assert owner.get(f"{BLUE}/logs", params={"lines": 5}).json()["content"] == ""
    assert set(owner.get(f"{ONE}/stats").json()["deployments"]) == {"blue"}
    keys = owner.get(f"{ONE}/keys").json()
    assert owner.get(f"{ONE}/credentials").json() == keys
    assert owner.get(f"{ONE}/scoring").json()["scoring_uri"].endswith("/score")
    new = owner.post(f"{ONE}/keys/regenerate", json={"key_type": "primary"}).json()
    assert new["primaryKey"] != keys["primaryKey"]
    labels = {"labels": [{"request_id": "a" * 10 + "-" + "0" * 16, "label": 1}]}
    assert owner.post(f"{ONE}/feedback", json=labels).status_code == 202
    assert owner.delete(BLUE).json()["error"]["code"] == "InUse"
    assert owner.patch(ONE, json={"traffic": {"blue": 0}}).status_code == 200
    site.says()
    assert owner.delete(BLUE).status_code == 202
    site.says()
    assert owner.get(BLUE).status_code == 404
    assert owner.delete(ONE).status_code == 202
    site.says()
    assert owner.get(ONE).status_code == 404


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", ALL, {"name": "x" * 99}, 400), ("POST", ALL, {}, 400), ("GET", f"{ALL}/absent", None, 404),
        ("PATCH", f"{ALL}/absent", {}, 404), ("DELETE", f"{ALL}/absent", None, 404),
        ("GET", f"{ALL}/absent/keys", None, 404),
        ("POST", f"{ALL}/absent/keys/regenerate", {"key_type": "both"}, 400), ("GET", f"{ALL}/absent/stats", None, 404),
        ("POST", f"{ALL}/absent/feedback", {"labels": 1}, 400), ("GET", f"{ALL}/absent/deployments", None, 404),
        ("POST", f"{ALL}/absent/deployments", {"name": "blue"}, 404),
        ("GET", f"{ALL}/absent/deployments/blue", None, 404),
        ("GET", f"{ALL}/absent/deployments/blue/logs?container=x", None, 400),
        ("PUT", f"{ALL}/absent/deployments/blue", {"colour": 1}, 400),
    ],
)  # fmt: skip
def test_refusals_have_their_code(site, owner, verb, path, body, status):
    answer = owner.request(verb, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"]


@pytest.mark.parametrize("role", ["reader", "scorer", "it-operator"])
def test_who_may_not(site, http, role):
    client = http.as_(role)
    for verb, path, body in (
        ("POST", ALL, {"name": NAME, "compute": "c1"}), ("GET", f"{ONE}/keys", None), ("DELETE", ONE, None),
        ("POST", f"{ONE}/deployments", site.document()),
    ):  # fmt: skip
        assert client.request(verb, path, json=body).status_code == 403
    assert http.client().get(ALL).status_code == 401


def test_scorers_get_tokens(site, http):
    site.endpoint(auth_mode="aml_token")
    scorer = http.as_("scorer")
    assert scorer.get(f"{ONE}/credentials").json()["tokenType"] == "Bearer"
    assert scorer.get(f"{ONE}/scoring").json()["auth_mode"] == "aml_token"
    assert scorer.get(ONE).status_code == 403
    assert http.as_("reader").get(f"{ONE}/credentials").status_code == 403
    said = http.as_("owner").get(f"{ONE}/keys")
    assert (said.status_code, said.json()["error"]["code"]) == (400, "NotSupported")


def test_an_endpoint_on_two_computes(http, owner):
    there = SpreadPlay(http)
    made = owner.post(ALL, json={"name": NAME, "compute": ["c1", "c2"], "keys": "separate"})
    assert (made.status_code, made.json()["compute"]) == (201, ["c1", "c2"])
    there.calm()
    assert owner.post(f"{ONE}/deployments", params={"all_traffic": True}, json=there.sites["c1"].document()).is_success
    there.calm()
    assert set(owner.get(BLUE).json()["ferry"]["sites"]) == {"c1", "c2"}
    assert owner.get(f"{ONE}/scoring", params={"compute": "c2"}).json()["compute"] == "c2"
    assert set(owner.get(f"{ONE}/credentials").json()["computes"]) == {"c1", "c2"}
    keys = owner.get(f"{ONE}/keys", params={"compute": "c2"}).json()
    body = {"key_type": "primary"}
    assert owner.post(f"{ONE}/keys/regenerate", json=body).json()["error"]["code"] == "MissingField"
    new = owner.post(f"{ONE}/keys/regenerate", params={"compute": "c2"}, json=body).json()
    assert (new["primaryKey"] != keys["primaryKey"], new["secondaryKey"]) == (True, keys["secondaryKey"])
    assert owner.get(f"{ONE}/stats", params={"compute": "c9"}).json()["error"]["code"] == "BadReference"
    assert owner.get(f"{BLUE}/logs", params={"compute": "c1"}).json() == {
        "content": "",
        "compute": "c1",
        "revision": "",
    }
    assert owner.get(f"{ALL}/{NAME}@c1").status_code == 400, "rows of computes are not addressed"
    assert owner.patch(ONE, json={"compute": ["c2"]}).json()["compute"] == ["c2"]
    there.calm()
    assert owner.delete(ONE).status_code == 202
    there.calm()
    assert owner.get(ONE).status_code == 404
