"""Statuses: what a site saw become of an order, always as a state and never as a change."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ferryml.domain.orders import DatastorePath, Json, TreeRef, Wire

LOG = "the job's log"
"""How the evidence begins that was read in a log."""


class Finding(Wire):
    """One thing that a site found when it looked for the cause of something."""

    code: str
    level: Literal["ok", "warning", "failed"] = "failed"
    cause: str
    """In words, for whoever waits."""
    evidence: str = ""
    """What was seen: a condition, an event, a figure."""
    fix: str = ""
    """What to do, by whom."""
    check: str = ""
    """Which look it comes from: a rule of the explainer (`unschedulable.memory`), a check of the doctor (`dns`)."""

    @property
    def quotes_log(self) -> bool:
        """It says what the user's program printed, which may quote data."""
        return self.evidence.startswith(LOG) or self.check == "program.failed"


class JobPhaseTime(Wire):
    phase: str
    at: datetime


class OutputResult(Wire):
    """What became of one output; `tree` is None when nothing was written."""

    tree: TreeRef | None = None
    place: DatastorePath | None = None
    bound: bool = False
    """True: the bytes stayed in the site store."""


class JobStatus(Wire):
    kind: Literal["Job"] = "Job"
    phase: str
    """NotStarted, Starting, Provisioning, Preparing, Queued, Running, Finalizing, CancelRequested,
    Completed, Failed, Canceled, NotResponding, Paused, Unknown."""
    times: tuple[JobPhaseTime, ...] = ()
    reason: str = ""
    """In words: why it is not running, or why it ended."""
    code: str = ""
    """Error code of docs/errors.md when Failed or Canceled by a limit."""
    exit_code: int | None = None
    error_lines: tuple[str, ...] = ()
    node: str = ""
    outputs: dict[str, OutputResult] = {}
    """Only with phase Completed/Failed/Canceled: `default` is ./outputs and ./logs."""
    receipt: str = ""
    """Gateway's receipt: the journal sequence that covers all outputs and logs."""
    lock: str = ""
    """Lock text made by the first preparation, to be stored with the environment version."""
    environment_key: str = ""
    environment_image: str = ""
    """The image that was built for the environment on this site, by digest; empty: none was."""
    notes: tuple[str, ...] = ()
    """Said once, e.g. `image is not honoured by a local site`."""
    logs: Literal["server", "site"] = "server"
    """Where its logs are: those that residency binds, or that the site keeps, never leave it."""
    usage: dict[str, float] = {}
    """`cpu_seconds`, `memory_peak_bytes` of the last attempt; empty when the site does not measure."""
    findings: tuple[Finding, ...] = ()
    """Why it waits or failed, as the site's explainer sees it; empty when nothing is wrong."""


class RevisionStatus(Wire):
    revision: str
    deployment: str
    state: str
    """Creating, Succeeded, Failed, Updating, Deleting."""
    ready: int = 0
    wanted: int = 0
    reason: str = ""
    code: str = ""
    traceback: str = ""


class Evidence(Wire):
    """Why a rollout moved: figures of champion and candidate over the same window."""

    at: datetime
    transition: str
    """e.g. `mirror -> step 10`."""
    reason: str
    figures: dict[str, Json] = {}


class RolloutStatus(Wire):
    rollout: str
    state: Literal[
        "pending", "preparing", "mirroring", "stepping", "holding", "paused", "promoted", "rolled_back", "failed"
    ]  # fmt: skip
    step: int = -1
    """Index into steps; -1 before the first."""
    percent: int = 0
    since: datetime
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""


class Accuracy(Wire):
    labels: int = 0
    correct: int = 0
    predictions: int = 0


class EndpointStatus(Wire):
    kind: Literal["Endpoint"] = "Endpoint"
    state: str
    """Creating, Succeeded, Failed, Updating, Deleting."""
    scoring_uri: str = ""
    revisions: tuple[RevisionStatus, ...] = ()
    weights: dict[str, int] = {}
    """revision -> percent in effect now."""
    token_keys: tuple[str, ...] = ()
    """Ids (`domain.routes.key_id`) of the keys whose tokens open it now."""
    rollout: RolloutStatus | None = None
    counters: dict[str, dict[str, float]] = {}
    """revision -> figures by name: running totals (requests, errors, direct, mirrored, mismatches, ...), those of the
    last while (rate, error_rate, p50_ms, p90_ms, p95_ms, p99_ms), and those of now (in_flight, queued)."""
    accuracy: dict[str, Accuracy] = {}
    """revision -> labels joined by feedback."""
    recent_accuracy: dict[str, Accuracy] = {}
    """The same over the last 1,000 labelled requests."""
    reason: str = ""
    code: str = ""


class FeedbackStatus(Wire):
    kind: Literal["Feedback"] = "Feedback"
    matched: int
    unmatched: int


class GoneStatus(Wire):
    """The tombstone was carried out; nothing is left."""

    kind: Literal["Gone"] = "Gone"
