"""Rollouts over HTTP: made, listed, commanded; refused to those who only look."""

import pytest

from control_play import WORKSPACE
from http_play import Http, W, fault
from loop_play import Point, plan, rolls

R = f"{W}/rollouts"


@pytest.fixture
def http(tmp_path):
    made = Http(tmp_path)
    made.site()
    Point(made).serves()
    yield made
    made.close()


def test_a_rollout_is_made_shown_listed_and_paused(http):
    owner = http.as_()
    made = owner.post(R, json=plan())
    assert (made.status_code, made.json()["status"]) == (201, "running")
    rolls(http)
    assert owner.get(f"{R}/r1").json()["ferry"]["endpoints"]["digits"]["state"] == "pending"
    assert [one["name"] for one in owner.get(R).json()["items"]] == ["r1"]
    for verb in ("pause", "resume", "promote"):
        assert owner.post(f"{R}/r1/{verb}").status_code == 200
    assert owner.post(f"{R}/r1/rollback").json()["status"] == "undoing"
    assert fault(owner.post(f"{R}/r1/promote")) == (409, "OperationInProgress")


def test_faults_have_their_codes(http):
    owner = http.as_()
    assert owner.post(R, json=plan()).status_code == 201
    assert fault(owner.post(R, json=plan())) == (409, "AlreadyExists")
    assert fault(owner.get(f"{R}/none")) == (404, "NotFound")
    assert fault(owner.post(R, json={**plan(), "stepps": [1]}))[1] == "UnknownField"
    assert owner.post(f"{R}/r1/explode").status_code in (404, 422, 400)


@pytest.mark.parametrize("role", ["reader", "scorer"])
def test_who_only_looks_changes_nothing(http, role):
    http.as_().post(R, json=plan())
    other = http.as_(role, WORKSPACE)
    assert other.post(R, json={**plan(), "name": "r2"}).status_code == 403
    assert other.post(f"{R}/r1/rollback").status_code == 403
    assert other.get(f"{R}/r1").status_code == (200 if role == "reader" else 403)
    assert http.client().get(R).status_code == 401
