"""Jobs on real pods that can reach nothing but their site's gateway."""

from __future__ import annotations

from typing import Any

import pytest

from cluster_play import World
from system_play import W

SIX = {
    "name": "with-six", "image": "docker.io/library/python:3.11-slim-bookworm",
    "conda_file": {"dependencies": ["python>=3.11", {"pip": ["six==1.17.0"]}]},
}  # fmt: skip


def test_a_command_runs_to_its_end_and_everything_arrives(joined: World) -> None:
    outputs = {"model": {"type": "uri_folder"}}
    command = "echo hello from $(hostname); echo kept > outputs/kept; echo 1 > ${{outputs.model}}/weights"
    joined.submit("plain", command, "team-a", outputs=outputs)
    job = joined.completes("plain")
    assert joined.log("plain").startswith("hello from ")
    assert joined.output(job) == {"outputs/kept": b"kept\n"}
    assert joined.output(job, "model") == {"weights": b"1\n"}
    phases = [time["phase"] for time in job["ferry"]["times"]]
    assert phases.index("Running") < phases.index("Completed")


def test_a_users_failure_is_final_and_says_its_first_lines(joined: World) -> None:
    joined.submit("broken", "python -c 'raise ValueError(\"no such column: price\")'", "team-a")
    job = joined.settles("broken")
    assert (job["status"], job["ferry"]["exit_code"], job["ferry"]["attempt"]) == ("Failed", 1, 1)
    assert "no such column: price" in str(job["ferry"]["error_lines"])


def test_packages_come_through_the_gateway_and_are_prepared_once(joined: World) -> None:
    before = len(joined.index.asked)
    command = "python -c 'import six, sys; print(six.__version__, sys.prefix)'"
    joined.submit("first", command, "team-a", environment=SIX)
    joined.completes("first", within_s=180)
    assert joined.log("first").startswith("1.17.0 /ferry/env")
    asked = len(joined.index.asked)
    assert asked > before
    joined.submit("second", command, "team-b", environment=SIX)
    joined.completes("second")
    assert len(joined.index.asked) == asked


def test_an_asset_of_one_job_is_the_next_ones_input(joined: World) -> None:
    joined.submit("makes", "echo 42 > ${{outputs.answer}}/text", "team-a", outputs={"answer": {"type": "uri_folder"}})
    joined.completes("makes")
    inputs = {"answer": {"type": "uri_folder", "path": "azureml://jobs/makes/outputs/answer/paths/"}}
    joined.submit("reads", "cat ${{inputs.answer}}/text", "team-b", inputs=inputs)
    joined.completes("reads")
    assert joined.log("reads") == "42\n"


def test_cancel_keeps_what_was_written(joined: World) -> None:
    joined.submit("endless", "echo so far > outputs/part; echo said; sleep 1000", "team-a")
    joined.settles("endless", "Running")
    _until_logged(joined, "endless", "said")
    joined.post(f"{W}/jobs/endless/cancel")
    job = joined.settles("endless")
    assert job["status"] == "Canceled"
    assert joined.output(job) == {"outputs/part": b"so far\n"}


def test_a_timeout_ends_the_job_and_says_so(joined: World) -> None:
    joined.submit("overdue", "sleep 1000", "team-a", limits={"timeout": 3})
    job = joined.settles("overdue")
    assert (job["status"], job["ferry"]["code"]) == ("Canceled", "TimedOut")


def _until_logged(world: World, name: str, words: str) -> Any:
    from system_play import until

    return until(lambda: words in world.log(name), 30, world.tail)


@pytest.mark.parametrize("spec", [{"limits": {"timeout": 600}}])
def test_what_no_node_can_hold_is_refused_or_explained(joined: World, spec: dict[str, Any]) -> None:
    said = joined.api.post(f"{W}/jobs", json={
        "type": "command", "name": "huge", "command": "true", "compute": "azureml:team-a",
        "environment": {"image": "docker.io/library/python:3.11-slim-bookworm"},
        "resources": {"instance_type": "no-such-type"}, **spec,
    })  # fmt: skip
    assert said.status_code == 400, said.text
    assert said.json()["error"]["code"] == "InvalidInstanceType"
