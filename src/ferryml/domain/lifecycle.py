"""The life of a job on its site: from what was asked and what is seen to where it stands and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from ferryml.domain.orders import EnvironmentOrder, JobOrder, Wire
from ferryml.domain.residency import may_leave
from ferryml.domain.seen import EnvSeen, JobSeen, Receipt
from ferryml.domain.statuses import Finding, JobPhaseTime, JobStatus, OutputResult

TERMINAL = frozenset({"Completed", "Failed", "Canceled"})

Phase = Literal[
    "NotStarted", "Preparing", "Queued", "Starting", "Running", "Finalizing", "CancelRequested",
    "Completed", "Failed", "Canceled",
]  # fmt: skip


class JobTrack(Wire):
    """What the site remembers of one job; `status_of` is the part that others see."""

    phase: Phase = "NotStarted"
    attempt: int = 1
    times: tuple[JobPhaseTime, ...] = ()
    reason: str = ""
    code: str = ""
    exit_code: int | None = None
    error_lines: tuple[str, ...] = ()
    node: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    usage: dict[str, float] = {}
    lock: str = ""
    image: str = ""
    outputs: dict[str, OutputResult] = {}
    receipt: str = ""
    ending: Literal["", "cancel", "timeout"] = ""
    """Why it is being stopped; once set it never goes back."""
    launched: bool = False
    """The present attempt was seen by the backend: if it is absent from now on, the machine lost it."""
    running_since: datetime | None = None
    ran_s: float = 0
    """Running time of earlier attempts."""
    exited_at: datetime | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Facts of one look: the environment, the present attempt, its receipt, and what keeps it from starting."""

    environment: EnvSeen = field(default_factory=EnvSeen)
    job: JobSeen = field(default_factory=JobSeen)
    receipt: Receipt | None = None
    no_room: str = ""
    """In words why nothing more can start here now; empty: there is room."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The site's patience, all in seconds; 0 waits for ever where it is a grace."""

    upload_grace_s: float = 3600
    collect_grace_s: float = 15
    """After a cancel: time for the runner to hand over what the program had written."""
    backoff_min_s: float = 2
    backoff_max_s: float = 300
    logs_stay: bool = False
    """The site keeps all logs, in every form."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make the environment."""

    environment: EnvironmentOrder


@dataclass(frozen=True, slots=True)
class Start:
    """Admit the attempt at the gateway and launch it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the attempt's whole group of processes."""

    attempt: int


Effect = Prepare | Start | Stop


def decide(
    order: JobOrder, track: JobTrack, seen: Seen, now: datetime, rules: Rules = Rules()
) -> tuple[JobTrack, tuple[Effect, ...]]:
    """Where the job stands now, and what to do about it.

    Level-triggered: asked twice with the same facts it says the same, and every effect may be repeated.
    Invariants (property-tested): a terminal job never moves; an attempt starts only when the one before is gone;
    a job that is asked to end ends.
    """
    if track.phase in TERMINAL:
        return track, ()
    if seen.job.state == "unknown":
        return _to(track, track.phase, now, seen.job.message), ()
    track = _note(track, seen)
    track = track.model_copy(update={"ending": _ending(order, track, seen.job, now)})
    if track.ending:
        return _stop(track, seen, now, rules)
    match seen.job.state:
        case "absent" if not track.launched:
            return _start(order, track, seen, now)
        case "absent" | "lost" | "unknown":
            return _again(order, track, seen.job, now, rules), ()
        case "queued":
            return _to(track, "Queued", now, seen.job.message or "waiting for a place to run"), ()
        case "staging":
            return _to(track, "Starting", now, seen.job.message or "bringing code, inputs and environment"), ()
        case "running":
            return _running(track, seen.job, now), ()
        case "exited" if seen.job.machine_fault:
            return _again(order, track, seen.job, now, rules), ()
        case "exited":
            return _finish(order, track, seen, now, rules), ()


def status_of(track: JobTrack, order: JobOrder, rules: Rules = Rules()) -> JobStatus:
    """What the server is told. Lines of output are lines of a log: where logs stay, they stay in every form."""
    silent = not _words_may_leave(order, rules)
    stays = bool(track.error_lines) and silent
    where = "on its site" if may_leave(order.residency, "logs") else "in its zone"
    return JobStatus(
        phase=track.phase,
        times=track.times,
        reason=f"exit code {track.exit_code}; what it printed stays {where}" if stays else track.reason,
        code=track.code,
        exit_code=track.exit_code,
        error_lines=() if stays else track.error_lines,
        node=track.node,
        outputs={**_placed(track, order), **track.outputs} if track.phase in TERMINAL else {},
        receipt=track.receipt,
        lock=track.lock,
        environment_key=order.environment.key,
        environment_image=track.image,
        notes=track.notes,
        findings=tuple(each for each in track.findings if not (silent and each.quotes_log)),
        usage=track.usage,
        logs="site" if silent else "server",
    )


def refused(track: JobTrack, code: str, reason: str, now: datetime) -> JobTrack:
    """An effect was refused for good: the job fails with that reason."""
    return track if track.phase in TERMINAL else _failed(track, code, reason, now)


def _ending(order: JobOrder, track: JobTrack, job: JobSeen, now: datetime) -> Literal["", "cancel", "timeout"]:
    if track.ending:
        return track.ending
    if order.cancel:
        return "cancel"
    if job.state == "exited" and job.code == "TimedOut":
        # the runner held the limit by itself while the agent was away
        return "timeout"
    if order.timeout_s is None or job.state != "running":
        return ""
    since = track.running_since or job.started_at or now
    return "timeout" if track.ran_s + (now - since).total_seconds() >= order.timeout_s else ""


def _stop(track: JobTrack, seen: Seen, now: datetime, rules: Rules) -> tuple[JobTrack, tuple[Effect, ...]]:
    job = seen.job
    effects: tuple[Effect, ...] = (Stop(track.attempt),)
    why = "limits.timeout was exceeded" if track.ending == "timeout" else "canceled on request"
    if job.live:
        return _to(track, "CancelRequested", now, f"{why}; stopping its processes"), effects
    exited_at = track.exited_at or now
    waited = (now - exited_at).total_seconds()
    if job.state == "exited" and not job.outputs_done and seen.receipt is None:
        if waited < rules.collect_grace_s:
            track = track.model_copy(update={"exited_at": exited_at})
            return _to(track, "CancelRequested", now, f"{why}; saving what it wrote"), ()
    else:
        effects = ()
    if seen.receipt is not None and not seen.receipt.forwarded and not _late(waited, rules):
        track = track.model_copy(update={"exited_at": exited_at})
        return _to(track, "CancelRequested", now, f"{why}; {_waiting(seen.receipt)}"), ()
    track = track.model_copy(
        update={
            **_ended(job),
            **_received(seen.receipt),
            "code": "TimedOut" if track.ending == "timeout" else "",
        }
    )
    return _to(track, "Canceled", now, why), effects


def _start(order: JobOrder, track: JobTrack, seen: Seen, now: datetime) -> tuple[JobTrack, tuple[Effect, ...]]:
    env = seen.environment
    if track.retry_at and now < track.retry_at:
        return _to(track, "Queued", now, track.reason), ()
    match env.state:
        case "failed" if track.phase == "Preparing":
            track = track.model_copy(update={"code": env.code or "EnvironmentFailed"})
            return _to(track, "Failed", now, env.message or "the environment could not be made"), ()
        case "absent" | "failed":
            return _to(track, "Preparing", now, "making the environment"), (Prepare(order.environment),)
        case "making":
            return _to(track, "Preparing", now, env.progress or "making the environment"), ()
        case "ready" if order.prepare_only:
            return _to(track, "Completed", now, "the environment is ready on this site"), ()
        case "ready":
            if seen.no_room:
                return _to(track, "Queued", now, seen.no_room), ()
            return _to(track, "Starting", now, "starting"), (Start(track.attempt),)


def _running(track: JobTrack, job: JobSeen, now: datetime) -> JobTrack:
    track = track.model_copy(update={"running_since": track.running_since or job.started_at or now})
    return _to(track, "Running", now, "")


def _finish(order: JobOrder, track: JobTrack, seen: Seen, now: datetime, rules: Rules) -> JobTrack:
    """Completed means received: the end is said once the gateway has everything and the server, too."""
    job, receipt = seen.job, seen.receipt
    exited_at = track.exited_at or now
    if job.started_at is not None and track.running_since is None:
        # It was over before anyone looked; its times tell the whole life all the same.
        track = _running(track, job, job.started_at)
    track = track.model_copy(update={**_ended(job), "exited_at": exited_at})
    late = _late((now - exited_at).total_seconds(), rules)
    if receipt is None and not late and job.code in ("", "OutOfMemory"):
        return _to(track, "Finalizing", now, "handing over outputs and logs")
    if receipt is not None and not receipt.forwarded:
        return _to(track, "Finalizing", now, _waiting(receipt))
    track = track.model_copy(update={**_received(receipt), "notes": _union(track.notes, _refused(receipt))})
    if job.code:
        return _failed(track, job.code, job.message or job.code, now)
    if job.exit_code != 0:
        return _failed(track, "UserCodeFailed", _why(order, job, rules), now)
    if receipt is None:
        return _failed(track, "UploadFailed", f"outputs did not arrive within {rules.upload_grace_s:g} s", now)
    if receipt.lost_outputs:
        return _failed(track, "UploadFailed", "; ".join(receipt.lost_outputs), now)
    return _to(track, "Completed", now, "")


def _again(order: JobOrder, track: JobTrack, job: JobSeen, now: datetime, rules: Rules) -> JobTrack:
    """Only the machine's fault is worth another attempt: the user's own failure would fail again."""
    why = job.message or "the machine lost it without an exit code"
    if track.attempt >= order.max_attempts:
        count = f"all {track.attempt} attempts" if track.attempt > 1 else "the only attempt"
        track = track.model_copy(update=_ended(job))
        return _failed(track, "MachineFailed", f"the machine failed in {count}: {why}", now)
    pause = min(rules.backoff_max_s, rules.backoff_min_s * 2.0 ** (track.attempt - 1))
    ran = (now - track.running_since).total_seconds() if track.running_since else 0.0
    track = track.model_copy(
        update={
            "attempt": track.attempt + 1,
            "launched": False,
            "ran_s": track.ran_s + max(0.0, ran),
            "running_since": None,
            "exited_at": None,
            "exit_code": None,
            "error_lines": (),
            "retry_at": now + timedelta(seconds=pause),
        }
    )
    return _to(track, "Queued", now, f"attempt {track.attempt} starts after a pause of {pause:g} s, because {why}")


def _note(track: JobTrack, seen: Seen) -> JobTrack:
    """What every look adds, wherever the job stands."""
    return track.model_copy(
        update={
            "launched": track.launched or seen.job.state != "absent",
            "lock": seen.environment.lock or track.lock,
            "image": seen.environment.image or track.image,
            "node": seen.job.node or track.node,
            "findings": seen.job.findings,
            "usage": seen.job.usage or track.usage,
            "notes": _union(track.notes, (*seen.environment.notes, *seen.job.notes)),
        }
    )


def _to(track: JobTrack, phase: Phase, now: datetime, reason: str) -> JobTrack:
    times = track.times if phase == track.phase else (*track.times, JobPhaseTime(phase=phase, at=now))
    return track.model_copy(update={"phase": phase, "times": times, "reason": reason})


def _failed(track: JobTrack, code: str, reason: str, now: datetime) -> JobTrack:
    return _to(track.model_copy(update={"code": code}), "Failed", now, reason)


def _ended(job: JobSeen) -> dict[str, object]:
    return {"exit_code": job.exit_code, "error_lines": job.error_lines}


def _placed(track: JobTrack, order: JobOrder) -> dict[str, OutputResult]:
    """Outputs that the program wrote to a datastore itself: no bytes of them pass through the gateway."""
    if track.exit_code is None:
        return {}
    return {name: OutputResult(place=output.place) for name, output in order.outputs.items() if output.place}


def _late(waited_s: float, rules: Rules) -> bool:
    return rules.upload_grace_s > 0 and waited_s >= rules.upload_grace_s


def _received(receipt: Receipt | None) -> dict[str, object]:
    return {} if receipt is None else {"outputs": receipt.outputs, "receipt": str(receipt.seq)}


def _refused(receipt: Receipt | None) -> tuple[str, ...]:
    return () if receipt is None else receipt.refused


def _waiting(receipt: Receipt) -> str:
    return f"outputs and logs are safe on the site; {receipt.waiting} of them wait for the server to take them"


def _why(order: JobOrder, job: JobSeen, rules: Rules) -> str:
    ended = f"the program ended with exit code {job.exit_code}"
    if not job.error_lines:
        return ended
    if not may_leave(order.residency, "logs"):
        return f"{ended}; what it said is bound to {', '.join(order.residency.zones)} and stays on the site"
    if rules.logs_stay:
        return f"{ended}; what it said stays on the site"
    return f"{ended}: {job.error_lines[0]}"


def _words_may_leave(order: JobOrder, rules: Rules) -> bool:
    return may_leave(order.residency, "logs") and not rules.logs_stay


def _union(old: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))
