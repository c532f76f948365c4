"""Paths and verbs of nouns."""

from ferryml.sdk import nouns
from flow_play import play


def test_names_are_quoted():
    assert nouns.path("w", "jobs", "a/../b") == "/api/v1/workspaces/w/jobs/a%2F..%2Fb"
    assert nouns.path("w", "models", "m", "@latest").endswith("/models/m/versions/@latest")
    assert nouns.deployments("e?x") == "online-endpoints/e%3Fx/deployments"


def test_versioned_things_are_shown_at_their_latest():
    assert play(nouns.show("w", "models", "m"), {})[0][0].path.endswith("/versions/@latest")
    assert play(nouns.show("w", "jobs", "j"), {})[0][0].path.endswith("/jobs/j")


def test_each_verb_is_one_call():
    calls = [
        play(flow, {})[0][0]
        for flow in (
            nouns.change("w", "jobs", "j", {"tags": {}}),
            nouns.replace("w", "automations", "a", {"name": "a"}),
            nouns.delete("w", "jobs", "j"),
            nouns.act("w", "jobs", "j", "cancel"),
            nouns.feedback("w", "e", [("r", 1)]),
            nouns.deployment_logs("w", "e", "d", revision="r"),
            nouns.decide_run("w", "a", "1", "approve"),
        )
    ]
    assert [call.method for call in calls] == ["PATCH", "PUT", "DELETE", "POST", "POST", "GET", "POST"]
    assert calls[4].body == b'{"labels": [{"request_id": "r", "label": 1}]}'
    assert calls[6].path.endswith("/automations/a/runs/1/approve")
    assert play(nouns.list_all("w", "jobs", 5), {"items": [], "next": None})[0][0].query == {"limit": 5}
