"""What one pod of an attempt has come to, read from its status and from what its own programs told the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ferryml.backends.kubernetes.kube import Manifest, annotations_of, labels_of, meta, name_of
from ferryml.domain.error_catalogue import Code

INDEX = "batch.kubernetes.io/job-completion-index"
PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
HOPELESS: dict[str, Code] = {"InvalidImageName": "ImagePullFailed", "ErrImageNeverPull": "ImagePullFailed"}
STUCK: dict[str, Code] = {"CreateContainerConfigError": "PodRejected", "CreateContainerError": "PodRejected"}
"""A Secret or a volume may still come."""
DISRUPTED = "DisruptionTarget"
CLOCK_SLACK_S = 2
"""The API server's times are whole seconds of another clock."""
MACHINE_REASONS = frozenset(
    {
        "Evicted", "NodeLost", "NodeShutdown", "Terminated", "Preempting", "Shutdown", "NodeAffinity", "OutOfcpu",
        "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "UnexpectedAdmissionError",
    }
)  # fmt: skip
"""Why a node refuses or ends a pod by itself."""

BY_SIGNAL = (137, 143)
"""Exit codes of programs that were killed, or asked to end."""

Step = Literal["unscheduled", "staging", "running", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One rank."""

    rank: int
    step: Step
    live: bool
    """Some container of it may still run."""
    message: str = ""
    code: str = ""
    trouble: str = ""
    """A code that counts once it has lasted for the site's patience: the image cannot be pulled, ..."""
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    usage: Mapping[str, float] = field(default_factory=dict)
    """As its own programs measured it."""
    outputs_done: bool = False
    node: str = ""
    removed: bool = False
    """It is being removed: how it ends says little."""
    unsettled: bool = False
    """The kubelet's word on how it ended is still to come."""
    silent: bool = False
    """All its containers have ended, and its own programs never said that everything was handed over."""


def pod_seen(pod: Manifest, state: Mapping[str, Any], ordered_end: bool) -> PodSeen:
    """Args:
    state: what stage and collect of this rank told the gateway last; empty when nothing.
    ordered_end: its Job is being removed by us, so its removal is nobody's fault.
    """
    status = pod.get("status") or {}
    main = _container(pod, "containerStatuses", "main")
    over = status.get("phase") in ("Succeeded", "Failed")
    base = PodSeen(
        rank=rank_of(pod), step="staging", live=not over, node=str((pod.get("spec") or {}).get("nodeName") or ""),
        started_at=_moment(state.get("started_at")), notes=tuple(state.get("notes") or ()),
        usage=state.get("usage") or {}, removed="deletionTimestamp" in meta(pod),
    )  # fmt: skip
    disruption = _disruption(pod, ordered_end)
    if state.get("phase") in ("collecting", "done") and not (disruption and _was_ended(pod, state)):
        return _told(base, state, main, over)
    if disruption:
        return _with(base, step="lost", message=disruption)
    ended = _ended(main)
    if ended is not None:
        return _by_kubelet(base, ended, over)
    if over:
        return _never_started(base, pod, state)
    if (main.get("state") or {}).get("running"):
        started = base.started_at or _moment_of((main["state"]["running"]).get("startedAt"))
        return _with(base, step="running", started_at=started, message=str(state.get("message") or ""))
    return _waiting(base, pod, state)


def rank_of(pod: Manifest) -> int:
    index = annotations_of(pod).get(INDEX) or labels_of(pod).get(INDEX) or "0"
    return int(index) if index.isdigit() else 0


def from_state(rank: int, state: Mapping[str, Any], ordered_end: bool) -> PodSeen:
    """A rank whose pod is gone: its own last words are all that is left."""
    base = PodSeen(
        rank=rank, step="lost", live=False, message="its pod is gone", started_at=_moment(state.get("started_at")),
        usage=state.get("usage") or {},
    )  # fmt: skip
    told = state.get("phase") in ("collecting", "done")
    return _told(base, state, {}, True) if told and (ordered_end or state.get("exit_code") not in BY_SIGNAL) else base


def is_lost_with_its_node(pod: Manifest, nodes_away: frozenset[str]) -> bool:
    """Its removal was ordered, and the node that would carry it out does not answer: nobody will ever confirm it."""
    node = str((pod.get("spec") or {}).get("nodeName") or "")
    return "deletionTimestamp" in meta(pod) and node in nodes_away


def _told(base: PodSeen, state: Mapping[str, Any], main: Manifest, over: bool) -> PodSeen:
    """The runner's word; only a kill for want of memory is known better by the kubelet."""
    exit_code, ended = state.get("exit_code"), _ended(main)
    code, message = str(state.get("code") or ""), str(state.get("message") or "")
    if bool(state.get("machine_fault")):
        return _with(base, step="lost", message=message or "the machine ended it", code=code)
    if exit_code is None and not code and state.get("phase") == "done":
        # it was ended before the user's program began: there is nothing to hand over
        return _with(base, step="ended", message=message, outputs_done=True)
    if exit_code and _is_oom(ended):
        code, message = "OutOfMemory", _oom_words(exit_code)
    done = state.get("phase") == "done"
    return _with(
        base, step="ended", exit_code=exit_code, code=code, message=message, ended_at=_moment(state.get("ended_at")),
        error_lines=tuple(state.get("error_lines") or ()), outputs_done=done and bool(state.get("outputs_done")),
        unsettled=exit_code == 137 and ended is None and not over,
        silent=over and not (done and bool(state.get("outputs_done"))),
    )  # fmt: skip


def _by_kubelet(base: PodSeen, ended: Manifest, over: bool) -> PodSeen:
    """The user's container is over and nobody spoke of it yet."""
    exit_code, reason = int(ended.get("exitCode") or 0), str(ended.get("reason") or "")
    code, message = "", ""
    if _is_oom(ended):
        code, message = "OutOfMemory", _oom_words(exit_code)
    elif reason in ("StartError", "ContainerCannotRun"):
        code, message = "PodRejected", f"its container could not start: {_text(ended)}"
    return _with(
        base, step="ended", exit_code=exit_code, code=code, message=message, silent=over,
        started_at=base.started_at or _moment_of(ended.get("startedAt")), ended_at=_moment_of(ended.get("finishedAt")),
    )  # fmt: skip


def _never_started(base: PodSeen, pod: Manifest, state: Mapping[str, Any]) -> PodSeen:
    """The pod failed before the user's program began."""
    status = pod.get("status") or {}
    if status.get("reason") in MACHINE_REASONS:
        return _with(base, step="lost", message=f"{status['reason']}: {status.get('message', '')}".strip(": "))
    for name in ("stage", "collect"):
        ended = _ended(_container(pod, "initContainerStatuses", name))
        if ended is not None and ended.get("exitCode"):
            said = str(state.get("message") or "") or _text(ended)
            code = str(state.get("code") or "") or "StagingFailed"
            if ended.get("reason") == "OOMKilled":
                said = (
                    f"container {name} of Ferry's own had too little memory; raise FERRY_CLUSTER_{name.upper()}_MEMORY"
                )
            if state.get("machine_fault"):
                return _with(base, step="lost", message=said)
            return _with(base, step="ended", code=code, message=said or f"container {name} ended early", silent=True)
    said = str(status.get("message") or status.get("reason") or "the pod failed before its containers began")
    return _with(base, step="lost", message=said)


def _waiting(base: PodSeen, pod: Manifest, state: Mapping[str, Any]) -> PodSeen:
    scheduled = condition_of(pod, "PodScheduled")
    if not base.node:
        why = str(scheduled.get("message") or "") or "waiting for the scheduler"
        return _with(base, step="unscheduled", message=why)
    for key in ("initContainerStatuses", "containerStatuses"):
        for each in (pod.get("status") or {}).get(key) or ():
            waiting = (each.get("state") or {}).get("waiting") or {}
            reason, said = str(waiting.get("reason") or ""), " ".join(str(waiting.get("message") or "").split())[:500]
            words = f"image {each.get('image', '')}: {said or reason}"
            if reason in HOPELESS:
                return _with(base, step="ended", code=HOPELESS[reason], message=words)
            if reason in PULLING:
                return _with(base, message=words, trouble="ImagePullFailed")
            if reason in STUCK:
                return _with(base, message=f"container {each.get('name')}: {said or reason}", trouble=STUCK[reason])
    return _with(base, message=str(state.get("message") or "") or _preparing_words(pod))


def _preparing_words(pod: Manifest) -> str:
    stage = _container(pod, "initContainerStatuses", "stage")
    if (stage.get("state") or {}).get("running"):
        return "bringing code, inputs and environment"
    return f"pod {name_of(pod)} is being set up on its node"


def _disruption(pod: Manifest, ordered_end: bool) -> str:
    """Why the machine, or someone of the cluster, ended it; empty when nobody did."""
    found = condition_of(pod, DISRUPTED)
    if found.get("status") == "True":
        said = f"{found.get('reason', '')}: {found.get('message', '')}".strip(": ")
        return said or "the cluster disrupted it"
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason") in MACHINE_REASONS:
        return f"{status['reason']}: {status.get('message', '')}".strip(": ")
    if "deletionTimestamp" in meta(pod) and not ordered_end:
        return "its pod was removed by someone"
    return ""


def _was_ended(pod: Manifest, state: Mapping[str, Any]) -> bool:
    """Whether its program ended because of the disruption: badly, and not before that began."""
    if state.get("exit_code") == 0:
        return False
    began = _moment_of(condition_of(pod, DISRUPTED).get("lastTransitionTime"))
    deleted = _moment_of(meta(pod).get("deletionTimestamp"))
    grace = int(meta(pod).get("deletionGracePeriodSeconds") or 0)
    if began is None and deleted is not None and grace:
        # at the very end the kubelet sets the grace to 0 and the time anew: then nothing is known of the beginning
        began = deleted - timedelta(seconds=grace)
    ended = _moment(state.get("ended_at"))
    return began is None or ended is None or ended >= began - timedelta(seconds=CLOCK_SLACK_S)


def _container(pod: Manifest, key: str, name: str) -> Manifest:
    for each in (pod.get("status") or {}).get(key) or ():
        if each.get("name") == name:
            found: Manifest = each
            return found
    return {}


def _ended(container: Manifest) -> Manifest | None:
    found: Manifest | None = (container.get("state") or {}).get("terminated")
    return found


def condition_of(pod: Manifest, kind: str) -> Manifest:
    """Empty when the pod has none of that kind."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Manifest = each
            return found
    return {}


def _is_oom(ended: Manifest | None) -> bool:
    return ended is not None and ended.get("reason") == "OOMKilled" and bool(ended.get("exitCode"))


def _oom_words(exit_code: int) -> str:
    return f"OOMKilled: it used more memory than its instance type allows (exit code {exit_code})"


def _text(ended: Manifest) -> str:
    return " ".join(str(ended.get("message") or ended.get("reason") or "").split())[-500:]


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if seconds else None


def _moment_of(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _with(seen: PodSeen, **changes: Any) -> PodSeen:
    return replace(seen, **changes)
