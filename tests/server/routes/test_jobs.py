"""/jobs over HTTP."""

import pytest

from http_play import W, fault

JOB = {"command": "true", "environment": {"pip_requirements": ["numpy"]}, "compute": "c1"}


@pytest.fixture
def dan(http):
    http.joined()
    return http.as_("data-scientist", "team")


def test_verbs(http, dan):
    name = dan.post(f"{W}/jobs", json=JOB).json()["name"]
    at = f"{W}/jobs/{name}"
    assert dan.get(at).json()["services"]["Studio"]["endpoint"].endswith(name)
    assert dan.patch(at, json={"tags": {"a": "b"}}).json()["tags"] == {"a": "b"}
    assert dan.get(f"{at}/explain").json()["status"] == "NotStarted"
    assert dan.get(f"{at}/logs").json() == []
    assert dan.get(f"{at}/outputs").json() == {}
    assert dan.post(f"{at}/cancel").json()["status"] == "Canceled"
    assert dan.post(f"{at}/archive").json()["archived"]
    assert dan.get(f"{W}/jobs").json()["items"] == []
    assert not dan.post(f"{at}/restore").json()["archived"]
    assert fault(dan.get(f"{at}/logs/content", params={"path": "user_logs/std_log.txt"})) == (404, "NotFound")


def test_lists_are_filtered(http, dan):
    names = [dan.post(f"{W}/jobs", json=JOB).json()["name"] for _ in range(2)]
    dan.post(f"{W}/jobs/{names[0]}/cancel")
    found = dan.get(f"{W}/jobs", params={"status": ["Canceled", "Failed"]}).json()
    assert [item["name"] for item in found["items"]] == [names[0]]
    assert dan.get(f"{W}/jobs", params={"parent": "none"}).json()["items"] == []


def test_second_thoughts(http, dan):
    dan.post(f"{W}/jobs", json={**JOB, "name": "mine"})
    assert fault(dan.post(f"{W}/jobs", json={**JOB, "name": "mine"})) == (409, "AlreadyExists")
    assert fault(dan.post(f"{W}/jobs", json={**JOB, "nam": "mine"})) == (400, "UnknownField")
    assert fault(dan.post(f"{W}/jobs/mine/archive")) == (409, "InUse")


def test_numbers_too_large_for_a_database_are_refused(http, dan):
    huge = {**JOB, "resources": {"instance_count": 10**30}}
    assert dan.post(f"{W}/jobs", json=huge).status_code in (201, 400)
    assert fault(dan.get(f"{W}/jobs", params={"after": 2**63})) == (400, "BadRequest")
