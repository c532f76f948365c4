"""From a Job, its pods and their words at the gateway to what is seen of the attempt: pure, so every case is tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ferryml.backends.kubernetes.kube import Manifest, meta
from ferryml.backends.kubernetes.pods import PodSeen, from_state, is_lost_with_its_node, pod_seen, rank_of
from ferryml.domain.seen import JobSeen

HANDOVER_S = 20.0
"""After the last container of a pod has ended: how long the gateway's word of what it handed over may take."""
KUBELET_S = 15.0
"""How long the kubelet's word of a kill for want of memory is waited for."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known of one attempt."""

    job: Manifest | None = None
    pods: Sequence[Manifest] = ()
    states: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """rank -> what stage and collect told the gateway last."""
    nodes_away: frozenset[str] = frozenset()
    """Nodes that are not ready, or gone."""
    ordered: bool = False
    """We asked for its end: what its pods come to then is nobody's fault."""
    waiting: str = ""
    """In words, why its pods cannot be made (quota, ...) or are held back (a gang)."""


def job_seen(view: View, now: datetime) -> JobSeen:
    """What the decider is told. Facts that time alone may change (patience) are not judged here."""
    ranks = ranks_of(view)
    if view.job is None and not view.pods:
        return _without_pods(ranks, now).model_copy(update={"usage": _usage(ranks)})
    whole = _merged(ranks, _wanted(view), view, now)
    nodes = ", ".join(dict.fromkeys(rank.node for rank in ranks if rank.node))
    notes = tuple(dict.fromkeys(note for rank in ranks for note in rank.notes))
    return whole.model_copy(update={"node": nodes, "notes": notes, "usage": _usage(ranks)})


def over_in_part(view: View, seen: JobSeen) -> JobSeen | None:
    """What has become of it when its end is certain and pods of it may go on for ever: someone must end them."""
    if not view.pods or view.job is None or "deletionTimestamp" in meta(view.job):
        return None
    if not seen.live:
        return seen if seen.state == "lost" or (seen.code and seen.exit_code is None) else None
    lost = [rank for rank in ranks_of(view) if rank.step == "lost" and not rank.live]
    if not lost or _is_over(view.job):
        return None
    return JobSeen(state="lost", started_at=seen.started_at, message=lost[0].message, machine_fault=True)


def nothing_more_comes(view: View, seen: JobSeen, now: datetime) -> bool:
    """It ended without handing everything over, and nobody of it is left to do so."""
    if seen.state != "exited" or seen.outputs_done or seen.exit_code is None:
        return False
    ranks = ranks_of(view)
    if not view.pods:
        return bool(ranks)
    return not any(rank.live for rank in ranks) and any(
        rank.silent and _passed(rank.ended_at, now) > HANDOVER_S for rank in ranks
    )


def being_ended(view: View, verdict: JobSeen) -> JobSeen:
    """The verdict, once no pod of it lives."""
    if verdict.state == "lost" and any(rank.live for rank in ranks_of(view)):
        return verdict.model_copy(
            update={"state": "running", "message": f"{verdict.message}; the other pods are ended"}
        )
    return verdict


def ranks_of(view: View) -> list[PodSeen]:
    """One for each rank that is known of, by rank; the newest pod counts."""
    ordered_end = _is_ending(view)
    found: dict[int, PodSeen] = {rank: from_state(rank, state, view.ordered) for rank, state in view.states.items()}
    for pod in sorted(view.pods, key=lambda pod: str(meta(pod).get("creationTimestamp", ""))):
        rank = rank_of(pod)
        seen = pod_seen(pod, view.states.get(rank, {}), ordered_end)
        if is_lost_with_its_node(pod, view.nodes_away):
            lost = {"step": "lost", "live": False, "message": f"node {seen.node} does not answer any more"}
            seen = replace(seen, **lost) if seen.step != "ended" else replace(seen, live=False)  # type: ignore[arg-type]
        found[rank] = seen
    return [found[rank] for rank in sorted(found)]


def _usage(ranks: Sequence[PodSeen]) -> dict[str, float]:
    measured = [rank.usage for rank in ranks if rank.usage]
    if not measured:
        return {}
    return {
        "cpu_seconds": round(sum(float(one.get("cpu_usec", 0)) for one in measured) / 1e6, 3),
        "memory_peak_bytes": max(float(one.get("memory_peak_bytes", 0)) for one in measured),
    }


def _without_pods(ranks: Sequence[PodSeen], now: datetime) -> JobSeen:
    """Its Job was removed: what its pods said last is what became of it."""
    if not ranks:
        return JobSeen()
    return _merged(ranks, len(ranks), View(), now)


def _merged(ranks: Sequence[PodSeen], wanted: int, view: View, now: datetime) -> JobSeen:
    failed = [rank for rank in ranks if rank.step == "ended" and (rank.code or rank.exit_code)]
    lost = [rank for rank in ranks if rank.step == "lost"]
    live = any(rank.live for rank in ranks)
    started = min((rank.started_at for rank in ranks if rank.started_at), default=None)
    if failed:
        return _failed(min(failed, key=_when), ranks, started, now)
    if not ranks and _has(view.job, ("Complete",)):
        return JobSeen(state="exited", exit_code=0)
    if lost or (not ranks and _is_over(view.job)):
        message = lost[0].message if lost else "its pods are gone"
        if live:
            return JobSeen(state="running", started_at=started, message=f"{message}; the other pods are ended")
        return JobSeen(state="lost", started_at=started, message=message, machine_fault=True)
    if len(ranks) < wanted:
        return JobSeen(state="queued", message=view.waiting or "waiting for its pods to be made")
    return _in_order(ranks, started, now)


def _in_order(ranks: Sequence[PodSeen], started: datetime | None, now: datetime) -> JobSeen:
    """Nothing went wrong so far."""
    if all(rank.step == "ended" for rank in ranks):
        done = all(rank.outputs_done for rank in ranks)
        ended = max((rank.ended_at for rank in ranks if rank.ended_at), default=None)
        code = None if any(rank.exit_code is None for rank in ranks) else 0
        seen = JobSeen(state="exited", exit_code=code, started_at=started, ended_at=ended, outputs_done=done)
        late = [rank for rank in ranks if rank.silent and _passed(rank.ended_at, now) > HANDOVER_S]
        if late:
            words = "its pod ended before outputs and logs were handed over"
            return seen.model_copy(update={"code": "UploadFailed", "message": late[0].message or words})
        return seen
    unscheduled = [rank for rank in ranks if rank.step == "unscheduled"]
    if unscheduled:
        count = f"{len(unscheduled)} of {len(ranks)} pods: " if len(ranks) > 1 else ""
        return JobSeen(state="queued", message=f"{count}{unscheduled[0].message}")
    staging = [rank for rank in ranks if rank.step == "staging"]
    if staging:
        return JobSeen(state="staging", message=staging[0].message)
    return JobSeen(state="running", started_at=started)


def _failed(first: PodSeen, ranks: Sequence[PodSeen], started: datetime | None, now: datetime) -> JobSeen:
    """One rank's failure ends the job; what the others said does not matter any more."""
    if first.unsettled and _passed(first.ended_at, now) < KUBELET_S:
        return JobSeen(state="running", started_at=started, message="it was killed; finding out why")
    of = f"rank {first.rank}: " if len(ranks) > 1 else ""
    return JobSeen(
        state="exited", exit_code=first.exit_code, started_at=started, ended_at=first.ended_at, code=first.code,
        error_lines=first.error_lines, message=f"{of}{first.message}" if first.message else "",
        outputs_done=all(rank.outputs_done for rank in ranks),
    )  # fmt: skip


def _is_ending(view: View) -> bool:
    """Its pods are being removed by our order. Those that go because another failed come after that one anyway."""
    return view.ordered or bool(((view.job or {}).get("spec") or {}).get("suspend"))


def _is_over(job: Manifest | None) -> bool:
    return _has(job, ("Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"))


def _has(job: Manifest | None, kinds: Sequence[str]) -> bool:
    conditions = ((job or {}).get("status") or {}).get("conditions") or ()
    return any(each.get("type") in kinds and each.get("status") == "True" for each in conditions)


def _wanted(view: View) -> int:
    return int(((view.job or {}).get("spec") or {}).get("completions") or 1)


def _when(rank: PodSeen) -> tuple[bool, float]:
    """What comes first is the cause; pods that were ended because of it come after."""
    return rank.removed, rank.ended_at.timestamp() if rank.ended_at else float("inf")


def _passed(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since else float("inf")
