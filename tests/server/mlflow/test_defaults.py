"""Experiment 0, wherever a request may name it."""

import json

from ferryml.server.mlflow.defaults import at_home
from ferryml.server.mlflow.wsgi import Request


def test_all_places_and_spellings():
    body = {
        "experiment_ids": ["0", "5"], "start_time": 0, "metrics": [{"key": "0", "step": 0}],
        "trace": {"location": [{"experimentId": 0}]},
    }  # fmt: skip
    sent = Request("POST", "/x", "experiment_id=0&max_results=0", {"x-mlflow-experiment-id": "0", "x-a": "0"})
    passed = at_home(sent, body, "77")
    assert json.loads(passed.body) == {
        "experiment_ids": ["77", "5"], "start_time": 0, "metrics": [{"key": "0", "step": 0}],
        "trace": {"location": [{"experimentId": "77"}]},
    }  # fmt: skip
    assert passed.query == "experiment_id=77&max_results=0"
    assert passed.headers == {"x-mlflow-experiment-id": "77", "x-a": "0"}


def test_a_body_that_is_no_json_stays():
    assert at_home(Request("POST", "/x", body=b"\x00"), None, "77").body == b"\x00"
