"""Who may pass: each role at each door, other workspaces, other sites, other clocks."""

import pytest

from control_play import WORKSPACE
from ferryml.control import workspaces
from ferryml.control.context import SYSTEM
from ferryml.server.auth import clean
from http_play import W, fault

DOORS = {
    # door: owner, it-operator, data-scientist, reader, scorer
    ("GET", f"{W}"): "yyyyn",
    ("PATCH", f"{W}"): "ynnnn",
    ("GET", f"{W}/jobs"): "yyyyn",
    ("POST", f"{W}/jobs"): "ynynn",
    ("POST", f"{W}/datas"): "ynynn",
    ("GET", f"{W}/datas"): "yyyyn",
    ("POST", f"{W}/computes"): "yynnn",
    ("GET", f"{W}/computes"): "yyyyn",
    ("POST", f"{W}/datastores"): "yynnn",
    ("POST", f"{W}/webhooks"): "yynnn",
    ("GET", f"{W}/webhooks"): "yyyyn",
    ("POST", f"{W}/artifacts/missing"): "ynynn",
    ("GET", f"{W}/audit"): "yynnn",
    ("GET", f"{W}/events"): "yyyyn",
    ("GET", f"{W}/tokens"): "ynnnn",
    ("GET", f"{W}/lineage?node=job:x"): "yyyyn",
    ("GET", f"{W}/online-endpoints"): "yyyyn",
    ("POST", f"{W}/online-endpoints"): "ynynn",
    ("GET", "/api/v1/sites"): "yyyyn",
    ("POST", "/api/v1/sites"): "nnnnn",
    ("POST", "/api/v1/workspaces"): "nnnnn",
}
ROLES = ("owner", "it-operator", "data-scientist", "reader", "scorer")


@pytest.mark.parametrize("number", range(len(ROLES)))
def test_each_role_at_each_door(http, number):
    client = http.as_(ROLES[number], WORKSPACE)
    for (method, path), row in DOORS.items():
        answer = client.request(method, path, json={"digests": []} if method != "GET" else None)
        refused = answer.status_code == 403
        assert refused is (row[number] == "n") or _not_parsed(answer), (method, path, ROLES[number], answer.text)


def _not_parsed(answer):
    """A body that is refused before rights are asked gives nothing away."""
    return answer.status_code == 400 and answer.json()["error"]["code"] == "BadRequest"


def test_another_workspace_does_not_exist(http):
    workspaces.create(http.deps, SYSTEM, {"name": "other"})
    client = http.as_("owner", "other")
    for method, path in DOORS:
        if path.startswith(W):
            body = {"digests": []} if method != "GET" else None
            assert client.request(method, path, json=body).status_code == 404, path


def test_no_token_opens_nothing(http):
    for path in (W, "/api/v1/sites", "/api/v1/whoami", "/agent/v1/wishes"):
        assert fault(http.client().get(path)) == (401, "Unauthenticated")
    assert http.client().get(W).headers["WWW-Authenticate"] == "Bearer"
    assert fault(http.client("fry_x_y").get(W)) == (401, "Unauthenticated")


def test_a_revoked_or_expired_token_says_so(http):
    owner = http.as_()
    made = owner.post(f"{W}/tokens", json={"name": "ci", "role": "reader", "expires_in_s": 60}).json()
    client = http.client(made["token"])
    assert client.get(W).status_code == 200
    http.dice.passes(61)
    assert fault(client.get(W)) == (401, "TokenExpired")
    made = owner.post(f"{W}/tokens", json={"name": "ci", "role": "reader"}).json()
    assert owner.delete(f"{W}/tokens/{made['id']}").status_code == 204
    assert fault(http.client(made["token"]).get(W)) == (401, "TokenRevoked")


def test_doors_of_people_and_sites_are_apart(http):
    site = http.joined()
    assert site.as_("agent").get("/agent/v1/wishes").status_code == 200
    assert fault(site.as_("gateway").get("/agent/v1/wishes")) == (401, "Unauthenticated")
    assert fault(site.as_("agent").get(W)) == (401, "Unauthenticated")
    assert fault(http.as_().get("/agent/v1/wishes")) == (401, "Unauthenticated")


@pytest.mark.parametrize(("shift", "good"), [(-80, True), (-120, False), (20, True), (60, False)])
def test_clocks_may_differ_a_little(http, shift, good):
    answer = http.joined().as_("agent", shift).get("/agent/v1/wishes")
    assert (answer.status_code == 200) is good
    if not good:
        assert fault(answer) == (401, "TokenExpired")


@pytest.mark.parametrize("value", ["a\0", {"k\0": 1}, ["\ud800"], {"a": [{"b": "\0"}]}])
def test_text_that_no_database_keeps_is_refused(value):
    with pytest.raises(ValueError, match=r"NUL|surrogate"):
        clean(value)


def test_depth_is_bounded():
    deep: list = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        clean(deep)
