"""Texts with their place: every message in the facts that a rule may recognise, in one flat list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ferryml.domain.explain.facts import Facts, Object, about, name_of, statuses, words_of

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

    def quoted(self) -> str:
        """As evidence."""
        said = f"{self.reason}: {self.text}" if self.reason and self.text else self.reason or self.text
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
        for kind in ("waiting", "terminated"):
            if found := state.get(kind):
                code = found.get("exitCode")
                if kind == "terminated" and code == 0:
                    continue
                yield Clue(
                    "waiting" if kind == "waiting" else "terminated",
                    str(found.get("reason") or ""),
                    str(found.get("message") or ""),
                    where,
                    container,
                    image,
                    code,
                )


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
        thing = about(event)
        container = str(thing.get("fieldPath") or "").partition("{")[2].rstrip("}")
        where = f"event of {str(thing.get('kind') or 'thing').lower()} {thing.get('name') or ''}".strip()
        yield Clue(
            "event", str(event.get("reason") or ""), words_of(event), where, container, images.get(container, "")
        )


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
        yield Clue("log", "", lines, "the job's log", "main", exit_code=facts.exit_code)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else line[:397] + "..."
