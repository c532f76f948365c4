"""Why it does not run, asked of a real cluster: doctor, attach, instance types, jobs that wait and jobs that fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster_play import IMAGE, World
from system_play import W, until

HUNGRY = "python -c 'x = bytearray(400 << 20); print(len(x))'"


def a_type(name: str, memory: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {
        "apiVersion": "ferryml.dev/v1alpha1", "kind": "InstanceType", "metadata": {"name": name},
        "spec": {"resources": {"requests": amounts, "limits": amounts}, **spec},
    }  # fmt: skip


def explained(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"{W}/jobs/{name}/explain")
    return found


@pytest.fixture(scope="module")
def types(joined: World, clusters: Any) -> World:
    cluster = clusters.kubebox("onprem", nodes=2)
    cluster.apply(a_type("tight", "96Mi"), a_type("giant", "2Ti", "64"))
    until(lambda: "giant" in joined.get(f"{W}/computes/team-a")["instance_types"], 60, joined.tail)
    return joined


def test_the_doctor_finds_a_site_well_and_says_what_is_weak(joined: World) -> None:
    said = json.loads(joined.ferry("site", "doctor", "onprem", "-o", "json"))
    lines = {each["check"]: each["level"] for each in said["findings"]}
    assert said["answered"]
    assert said["result"] == "warning", lines
    for check in ("link", "rights", "definitions", "server", "clock", "nodes", "storage", "image", "dns"):
        assert lines[check] == "ok", (check, said["findings"])
    # this cluster takes policies and does not enforce them: only a probe can tell
    assert lines["network-policies"] == "warning"


def test_attach_says_succeeded_only_when_it_is(joined: World) -> None:
    shown = joined.get(f"{W}/computes/team-a")
    assert shown["provisioning_state"] == "Succeeded", shown
    assert shown["capacity"]["ready"] == 2
    refused = joined.ferry(
        "compute", "attach", "-n", "nowhere", "--type", "Kubernetes", "--resource-id", "site:onprem", "--namespace",
        "nowhere", "-w", "default", ok=False,
    )  # fmt: skip
    assert "[NamespaceMissing]" in refused
    assert "kubectl create namespace nowhere" in refused


def test_a_type_that_fits_no_node_is_refused_with_the_nearest_that_does(types: World) -> None:
    body = {
        "type": "command", "name": "giant", "command": "true", "compute": "azureml:team-a",
        "environment": {"image": IMAGE}, "resources": {"instance_type": "giant"},
    }  # fmt: skip
    said = types.post(f"{W}/jobs", body, status=400)
    assert said["error"]["code"] == "InvalidInstanceType"
    assert "The nearest type that fits is" in said["error"]["hint"]


def test_memory_that_ran_out_is_named_with_a_type_that_has_more(types: World) -> None:
    types.submit("hungry", HUNGRY, "team-a", resources={"instance_type": "tight"})
    job = types.settles("hungry")
    assert job["status"] == "Failed"
    found = explained(types, "hungry")
    assert found["findings"][0]["code"] == "PodOutOfMemory", found
    assert "tight" in found["findings"][0]["cause"]
    assert {"compute": "team-a", "instance_type": "defaultinstancetype"}.items() <= found["alternatives"][0].items()


def test_an_image_that_does_not_come_says_so_while_it_waits(joined: World) -> None:
    joined.submit("imageless", "true", "team-a", environment={"image": "registry.nowhere.invalid/team/thing:1"})
    until(lambda: explained(joined, "imageless")["findings"], 90, joined.tail)
    text = joined.ferry("job", "show", "-n", "imageless", "--explain", "-w", "default")
    assert "registry.nowhere.invalid" in text
    assert "Fix:" in text
    joined.post(f"{W}/jobs/imageless/cancel")
    assert joined.settles("imageless")["status"] == "Canceled"
