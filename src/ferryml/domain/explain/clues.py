"""Texts with their place: every message in the facts that a rule may recognise, in one flat list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ferryml.domain.explain.facts import Facts, Object, about, condition, name_of, statuses, words_of
from ferryml.domain.statuses import LOG

Kind = Literal[
    "waiting",
    "terminated",
    "scheduling",
    "pod",
    "disruption",
    "event",
    "refusal",
    "runner",
    "environment",
    "link",
    "log",
    "job",
    "claim",
]
OURS = ("stage", "collect")
"""Ferry's own containers in a user's pod."""
STARTING = frozenset(
    {"Failed", "BackOff", "Pulling", "ErrImagePull", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox",
     "FailedToRetrieveImagePullSecret", "Unhealthy", "FailedBinding", "NotTriggerScaleUp", "TriggeredScaleUp"}
)  # fmt: skip
"""Reasons of events that mean nothing once the pod has started."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One message: where it stands, its reason (one word of the API, or a code of ours) and its text."""

    kind: Kind
    reason: str
    text: str
    where: str
    container: str = ""
    image: str = ""
    exit_code: int | None = None

    def quoted(self, found: re.Match[str] | None = None) -> str:
        """As evidence; of a log only the line where a pattern was found."""
        said = f"{self.reason}: {self.text}" if self.reason and self.text else self.reason or self.text
        if self.kind == "log" and found is not None:
            said = found.string[found.string.rfind("\n", 0, found.start()) + 1 :].split("\n", 1)[0].removeprefix(": ")
        return f"{self.where}: {_short(said)}" if self.where else _short(said)


def clues(facts: Facts) -> tuple[Clue, ...]:
    """All of them; what is surest comes first."""
    return (
        *(clue for pod in facts.pods for clue in _of_pod(pod)),
        *_of_job(facts),
        *(Clue("refusal", each.reason, each.message, each.what) for each in facts.refusals),
        *_of_claims(facts),
        *_of_events(facts),
        *_of_programs(facts),
    )


def _of_pod(pod: Object) -> Iterator[Clue]:
    name, status = f"pod {name_of(pod)}", pod.get("status") or {}
    if status.get("reason") or (status.get("message") and status.get("phase") == "Failed"):
        yield Clue("pod", str(status.get("reason") or ""), str(status.get("message") or ""), name)
    for each in status.get("conditions") or ():
        reason, text = str(each.get("reason") or ""), str(each.get("message") or "")
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            yield Clue("scheduling", reason, text, name)
        elif each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            yield Clue("disruption", reason, text, name)
    for container, each in statuses(pod):
        yield from _of_container(f"{name}, container {container}", container, each)


def _of_container(where: str, container: str, status: Object) -> Iterator[Clue]:
    image = str(status.get("image") or "")
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        if waiting := state.get("waiting"):
            reason, text = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
            yield Clue("waiting", reason, text, where, container, image)
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            reason, text = str(ended.get("reason") or ""), str(ended.get("message") or "")
            yield Clue("terminated", reason, text, where, container, image, ended["exitCode"])
            if container in OURS:
                yield from _last_words(where, container, text)


def _last_words(where: str, container: str, text: str) -> Iterator[Clue]:
    """Our own containers leave `{code, message}` as their termination message."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if isinstance(said, dict):
        yield Clue("runner", str(said.get("code") or ""), str(said.get("message") or ""), where, container)
    else:
        yield Clue("runner", "StagingFailed" if container == "stage" else "UploadFailed", text, where, container)


def _of_job(facts: Facts) -> Iterator[Clue]:
    for thing in (facts.job, facts.workload):
        for each in ((thing or {}).get("status") or {}).get("conditions") or ():
            where = f"{(thing or {}).get('kind') or 'Job'} {name_of(thing or {})}"
            text, reason = str(each.get("message") or ""), str(each.get("reason") or "")
            if (each.get("type") in ("Failed", "FailureTarget", "Suspended") and each.get("status") == "True") or (
                each.get("type") in ("QuotaReserved", "Admitted") and each.get("status") == "False"
            ):
                yield Clue("job", reason, text, where)


def _of_claims(facts: Facts) -> Iterator[Clue]:
    for claim in facts.claims:
        phase = (claim.get("status") or {}).get("phase")
        if phase in ("Pending", "Lost"):
            wanted = (claim.get("spec") or {}).get("storageClassName")
            text = f"storage class {wanted}" if wanted else "no storage class"
            yield Clue("claim", str(phase), text, f"claim {name_of(claim)}")


def _of_events(facts: Facts) -> Iterator[Clue]:
    images = {str(each.get("name")): str(each.get("image")) for pod in facts.pods for each in _containers(pod)}
    for event in facts.events:
        thing, reason = about(event), str(event.get("reason") or "")
        if _is_old(facts, thing, reason):
            continue
        container = str(thing.get("fieldPath") or "").partition("{")[2].rstrip("}")
        where = f"event of {str(thing.get('kind') or 'thing').lower()} {thing.get('name') or ''}".strip()
        yield Clue("event", reason, words_of(event), where, container, images.get(container, ""))


def _is_old(facts: Facts, thing: Object, reason: str) -> bool:
    """What an event tells is over: the pod was made anew under its name, has a node by now, or has started."""
    for pod in facts.pods:
        if thing.get("kind") != "Pod" or thing.get("name") != name_of(pod):
            continue
        uid, status = (pod.get("metadata") or {}).get("uid"), pod.get("status") or {}
        if uid and thing.get("uid") and uid != thing["uid"]:
            return True
        if reason == "FailedScheduling":
            # the condition says the same, and as of now
            return bool(condition(pod, "PodScheduled"))
        return reason in STARTING and status.get("phase") != "Pending"
    return False


def _containers(pod: Object) -> tuple[Object, ...]:
    spec = pod.get("spec") or {}
    return (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))


def _of_programs(facts: Facts) -> Iterator[Clue]:
    for rank, state in facts.runner.items():
        if state.get("code") or (state.get("message") and state.get("phase") in ("done", "staging")):
            yield Clue("runner", str(state.get("code") or ""), str(state.get("message") or ""), f"rank {rank}")
    seen = facts.environment or {}
    if seen.get("state") == "failed":
        yield Clue("environment", str(seen.get("code") or ""), str(seen.get("message") or ""), "environment")
    if facts.link_code:
        yield Clue("link", facts.link_code, facts.link_message, "the agent's link to the server")
    lines = "\n".join((*facts.error_lines, facts.log_tail)).strip()
    if lines:
        yield Clue("log", "", lines, LOG, "main", exit_code=facts.exit_code)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else line[:397] + "..."
