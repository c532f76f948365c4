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


def test_a_command_runs_to_its_end_and_everything_arrives(world: World) -> None:
    outputs = {"model": {"type": "uri_folder"}}
    command = "echo hello from $(hostname); echo kept > outputs/kept; echo 1 > ${{outputs.model}}/weights"
    world.submit("plain", command, "team-a", outputs=outputs)
    job = world.completes("plain")
    assert world.log("plain").startswith("hello from ")
    assert world.output(job) == {"outputs/kept": b"kept\n"}
    assert world.output(job, "model") == {"weights": b"1\n"}
    phases = [time["phase"] for time in job["ferry"]["times"]]
    assert phases.index("Running") < phases.index("Completed")


def test_a_users_failure_is_final_and_says_its_first_lines(world: World) -> None:
    world.submit("broken", "python -c 'raise ValueError(\"no such column: price\")'", "team-a")
    job = world.settles("broken")
    assert (job["status"], job["ferry"]["exit_code"], job["ferry"]["attempt"]) == ("Failed", 1, 1)
    assert "no such column: price" in str(job["ferry"]["error_lines"])


def test_packages_come_through_the_gateway_and_are_prepared_once(world: World) -> None:
    before = len(world.index.asked)
    command = "python -c 'import six, sys; print(six.__version__, sys.prefix)'"
    world.submit("first", command, "team-a", environment=SIX)
    world.completes("first", within_s=180)
    assert world.log("first").startswith("1.17.0 /ferry/env")
    asked = len(world.index.asked)
    assert asked > before
    world.submit("second", command, "team-b", environment=SIX)
    world.completes("second")
    assert len(world.index.asked) == asked


def test_an_asset_of_one_job_is_the_next_ones_input(world: World) -> None:
    world.submit("makes", "echo 42 > ${{outputs.answer}}/text", "team-a", outputs={"answer": {"type": "uri_folder"}})
    world.completes("makes")
    inputs = {"answer": {"type": "uri_folder", "path": "azureml://jobs/makes/outputs/answer/paths/"}}
    world.submit("reads", "cat ${{inputs.answer}}/text", "team-b", inputs=inputs)
    world.completes("reads")
    assert world.log("reads") == "42\n"


def test_cancel_keeps_what_was_written(world: World) -> None:
    world.submit("endless", "echo so far > outputs/part; echo said; sleep 1000", "team-a")
    world.settles("endless", "Running")
    _until_logged(world, "endless", "said")
    world.post(f"{W}/jobs/endless/cancel")
    job = world.settles("endless")
    assert job["status"] == "Canceled"
    assert world.output(job) == {"outputs/part": b"so far\n"}


def test_a_timeout_ends_the_job_and_says_so(world: World) -> None:
    world.submit("slow", "sleep 1000", "team-a", limits={"timeout": 3})
    job = world.settles("slow")
    assert (job["status"], job["ferry"]["code"]) == ("Canceled", "TimedOut")


def _until_logged(world: World, name: str, words: str) -> Any:
    from system_play import until

    return until(lambda: words in world.log(name), 30, world.tail)


@pytest.mark.parametrize("spec", [{"limits": {"timeout": 600}}])
def test_what_no_node_can_hold_is_refused_or_explained(world: World, spec: dict[str, Any]) -> None:
    said = world.api.post(f"{W}/jobs", json={
        "type": "command", "name": "huge", "command": "true", "compute": "azureml:team-a",
        "environment": {"image": "docker.io/library/python:3.11-slim-bookworm"},
        "resources": {"instance_type": "no-such-type"}, **spec,
    })  # fmt: skip
    assert said.status_code == 400, said.text
    assert said.json()["error"]["code"] == "InvalidInstanceType"
