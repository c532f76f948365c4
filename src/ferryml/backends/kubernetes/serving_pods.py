"""What one pod of a deployment has come to, read from its status and from what its program printed: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ferryml.backends.kubernetes.kube import Manifest, annotations_of, meta
from ferryml.backends.kubernetes.pods import HOPELESS, PULLING, STUCK, condition_of
from ferryml.compile.kubernetes import serving as marks
from ferryml.compile.kubernetes.pods import MAIN, STAGE
from ferryml.domain.script_failure import keeps_losing_workers, script_failure

State = Literal["starting", "ready", "unready", "exited", "failed", "ending"]
GIVE_UP_AFTER = 3
"""Starts that ended badly; then trying again is left to people. The kubelet goes on all the same."""
GIVE_UP_AFTER_OOM = 2
PATIENCE_SLACK_S = 3.0
_KILLED = "Perhaps out of memory"
"""What the inference server says of a worker that the kernel killed."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What the program said, as far as it was read."""

    crash: str | None = None
    """Everything of the start that ended last; None: not read yet."""
    present: str = ""
    """The end of what the present start said."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One pod."""

    state: State
    code: str = ""
    reason: str = ""
    tail: str = ""
    restarts: int = 0
    trouble: str = ""
    """A code that counts once it has lasted for the site's patience."""
    wants_crash: bool = False
    """What the last start printed would say more."""


def pod_sight(pod: Manifest, printed: Printed) -> Sight | None:
    """None for pods that are over and were replaced: they are nobody's instance."""
    status = pod.get("status") or {}
    if "deletionTimestamp" in meta(pod):
        return Sight("ending")
    if status.get("phase") in ("Failed", "Succeeded"):
        return None
    if condition_of(pod, "Ready").get("status") == "True":
        return Sight("ready", restarts=_restarts(pod))
    if condition_of(pod, "ContainersReady").get("status") == "True":  # the kubelet tells both at once
        words = "the cluster has lost sight of its node"
        return Sight("unready", "NodeLost", words, restarts=_restarts(pod))
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        said = str(scheduled.get("message") or "waiting for the scheduler")
        return Sight("starting", "PodUnschedulable" if scheduled.get("reason") == "Unschedulable" else "", said)
    return _image(pod) or _stage(pod) or _main(pod, printed)


def is_readable(pod: Manifest, container: str) -> bool:
    """Whether it has printed, or may have."""
    found = _container(pod, container)
    state, last = found.get("state") or {}, found.get("lastState") or {}
    return "running" in state or "terminated" in state or "terminated" in last


def starts_of(pod: Manifest, container: str) -> int:
    """How often it was started again."""
    return int(_container(pod, container).get("restartCount") or 0)


def has_restarted(pod: Manifest, container: str) -> bool:
    """Whether what the last start printed lies behind the present one."""
    found = _container(pod, container)
    return bool((found.get("lastState") or {}).get("terminated")) and not (found.get("state") or {}).get("terminated")


def _image(pod: Manifest) -> Sight | None:
    """Containers that cannot be made."""
    for key in ("initContainerStatuses", "containerStatuses"):
        for each in (pod.get("status") or {}).get(key) or ():
            waiting = (each.get("state") or {}).get("waiting") or {}
            reason, said = str(waiting.get("reason") or ""), " ".join(str(waiting.get("message") or "").split())[:500]
            if reason in HOPELESS:
                return Sight("failed", "ImagePullLoopBackOff", f"image {each.get('image', '')}: {said or reason}")
            if reason in PULLING:
                words = f"image {each.get('image', '')} cannot be pulled: {said or reason}"
                return Sight("starting", "ImagePullLoopBackOff", words, trouble="ImagePullLoopBackOff")
            if reason in STUCK or reason == "RunContainerError":
                words = f"container {each.get('name')}: {said or reason}"
                return Sight("starting", "ContainerCannotStart", words, trouble="ContainerCannotStart")
    return None


def _stage(pod: Manifest) -> Sight | None:
    """The storage initializer is not done."""
    found = _container(pod, STAGE)
    state, last = found.get("state") or {}, (found.get("lastState") or {}).get("terminated") or {}
    now = state.get("terminated") or {}
    if now and now.get("exitCode") == 0:
        return None
    ended, restarts = now or last, int(found.get("restartCount") or 0)
    if not ended:
        return Sight("starting", reason="bringing model, code and environment" if "running" in state else "")
    code, words = _last_words(str(ended.get("message") or ""))
    if ended.get("reason") == "OOMKilled":
        code, words = "MachineFailed", "the storage initializer had too little memory; raise FERRY_CLUSTER_STAGE_MEMORY"
    final = code == "BadArgument" or restarts + bool(now) >= GIVE_UP_AFTER
    return Sight("failed" if final else "exited", code, words, restarts=restarts)


def _main(pod: Manifest, printed: Printed) -> Sight:
    found = _container(pod, MAIN)
    state, last = found.get("state") or {}, (found.get("lastState") or {}).get("terminated") or {}
    restarts, ended = int(found.get("restartCount") or 0), state.get("terminated") or last
    if "running" in state:
        losing = keeps_losing_workers(printed.present)
        if losing:
            return _losing(printed.present, restarts)
        if found.get("started") and (ended or _was_ready(pod, found)):
            return Sight("unready", "ResourceNotReady", f"{_probe(pod)} fails", restarts=restarts)
        if not ended:
            return Sight("starting", reason=f"the program runs; {_probe(pod)} does not succeed yet")
    if not ended:
        return Sight("starting", reason="starting the program")
    crash = _crash(pod, ended, printed)
    starts = restarts + (1 if state.get("terminated") else 0)
    most = GIVE_UP_AFTER_OOM if crash.code == "PodOutOfMemory" else GIVE_UP_AFTER
    final = crash.state == "failed" or starts >= (1 if crash.code == "ResourceNotReady" else most)
    return replace(crash, state="failed" if final else "exited", restarts=restarts)


def _was_ready(pod: Manifest, container: Manifest) -> bool:
    """Since its program began: between its first answer to the startup probe and that to the readiness probe, not yet.

    A kubelet dates `Ready` by its last change, which for one that never was is the pod's own beginning.
    """
    changed = str(condition_of(pod, "Ready").get("lastTransitionTime") or "")
    began = str(container["state"]["running"].get("startedAt") or "")
    return not (changed and began) or datetime.fromisoformat(changed) > datetime.fromisoformat(began)


def _crash(pod: Manifest, ended: Mapping[str, Any], printed: Printed) -> Sight:
    """How the last start ended; `failed`: trying again cannot help."""
    exit_code = int(ended.get("exitCode") or 0)
    if ended.get("reason") == "OOMKilled":
        words = f"it used more memory than its limit and was killed (OOMKilled, exit code {exit_code})"
        return Sight("exited", "PodOutOfMemory", f"{words}. Raise resources.limits.memory, or choose a larger type.")
    text = printed.crash if printed.crash is not None else str(ended.get("message") or "")
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        said = " ".join(str(ended.get("message") or "").split())[:500]
        return Sight("exited", "ContainerCannotStart", f"the program cannot be started: {said}")
    failure = script_failure(text, exit_code)
    if not failure.traceback and failure.code == "DeploymentCrashLoopBackOff" and _lasted(ended) >= _patience(pod):
        words = f"it was ended because {_probe(pod)} did not succeed within {_patience(pod):g} s"
        return Sight("exited", "ResourceNotReady", words, wants_crash=printed.crash is None)
    tail = failure.traceback or text[-4000:]
    return Sight(
        "failed" if failure.final else "exited", failure.code, failure.reason, tail, wants_crash=printed.crash is None
    )


def _losing(log: str, restarts: int) -> Sight:
    failure = script_failure(log, None)
    if _KILLED in log and not failure.traceback:
        words = "its workers are killed again and again, for they use more memory than the limit"
        return Sight("failed", "PodOutOfMemory", f"{words}. Raise resources.limits.memory.", log[-4000:], restarts)
    return Sight("failed", failure.code, failure.reason, failure.traceback or log[-4000:], restarts)


def _probe(pod: Manifest) -> str:
    port, slash, path = annotations_of(pod).get(marks.READINESS, "").partition("/")
    return f"GET {slash}{path} on port {port}" if port else "the readiness probe"


def _patience(pod: Manifest) -> float:
    said = annotations_of(pod).get(marks.PATIENCE, "")
    return float(said) - PATIENCE_SLACK_S if said.isdigit() else float("inf")


def _lasted(ended: Mapping[str, Any]) -> float:
    since, until = (str(ended.get(key) or "") for key in ("startedAt", "finishedAt"))
    if not since or not until:
        return 0.0
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def _last_words(text: str) -> tuple[str, str]:
    """(code, words) of a program of ours; anything else in full."""
    try:
        said = json.loads(text)
        return str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        return "StagingFailed", " ".join(text.split())[-500:] or "the storage initializer ended early"


def _restarts(pod: Manifest) -> int:
    return starts_of(pod, MAIN)


def _container(pod: Manifest, name: str) -> Manifest:
    for key in ("initContainerStatuses", "containerStatuses"):
        for each in (pod.get("status") or {}).get(key) or ():
            if each.get("name") == name:
                found: Manifest = each
                return found
    return {}
