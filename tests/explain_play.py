"""States of a real cluster (Kubernetes 1.34, containerd), recorded once, and facts made by hand for the rest."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from ferryml.domain.explain import Facts, Refusal, explain
from ferryml.domain.statuses import Finding

RECORDED = Path(__file__).parent / "fixtures" / "kubernetes" / "states.json"


@functools.cache
def recorded() -> dict[str, Any]:
    """`states`: name -> pods, events, Job; `nodes`: the nodes at that time; `refusals`: what kubectl was told."""
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found


def facts_of(name: str, **more: Any) -> Facts:
    """A recorded state as facts; the exit code is that of its container."""
    state = recorded()["states"][name]
    codes = [
        ended["exitCode"]
        for pod in state["pods"]
        for each in pod["status"].get("containerStatuses", ())
        if (ended := (each.get("state") or {}).get("terminated"))
    ]
    told: dict[str, Any] = {
        "pods": tuple(state["pods"]), "events": tuple(state["events"]), "job": state.get("job"),
        "nodes": tuple(recorded()["nodes"][state["nodes"]]), "exit_code": codes[0] if codes else None, "waited_s": 90.0,
    }  # fmt: skip
    return Facts(**{**told, **more})


def first(facts: Facts) -> Finding:
    """The most certain finding, which has everything that a person needs."""
    found = explain(facts)
    assert found, "nothing was found"
    assert found[0].cause
    assert found[0].fix
    assert found[0].evidence
    assert "{" not in found[0].cause + found[0].fix
    return found[0]


def checks(facts: Facts) -> list[str]:
    return [finding.check for finding in explain(facts)]


def an_event(reason: str, message: str, kind: str = "Pod", name: str = "train", container: str = "") -> dict[str, Any]:
    about = {"kind": kind, "name": name}
    if container:
        about["fieldPath"] = f"spec.containers{{{container}}}"
    return {"reason": reason, "message": message, "involvedObject": about}


def a_pod(phase: str = "Pending", name: str = "train", **status: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name}, "spec": {}, "status": {"phase": phase, **status}}


def waiting(reason: str, message: str = "", container: str = "main", image: str = "reg.example/a:1") -> Facts:
    """A pod one of whose containers cannot start."""
    state = {"name": container, "image": image, "state": {"waiting": {"reason": reason, "message": message}}}
    return Facts(pods=(a_pod(containerStatuses=[state]),))


def ended(reason: str, message: str = "", container: str = "main", code: int = 1) -> Facts:
    """A pod one of whose containers has failed."""
    state = {"exitCode": code, "reason": reason, "message": message}
    status = {"name": container, "image": "reg.example/a:1", "state": {"terminated": state}}
    return Facts(pods=(a_pod("Failed", containerStatuses=[status]),), exit_code=code if container == "main" else None)


def logged(text: str, code: int = 1) -> Facts:
    """The user's program failed and printed this."""
    return Facts(exit_code=code, log_tail=text, error_lines=(text.splitlines()[0],))


def refused(message: str, status: int = 403, reason: str = "Forbidden", what: str = "the Job") -> Facts:
    """The API refused what was applied."""
    return Facts(refusals=(Refusal(what, status, reason, message),))
