"""What a site has seen: facts that backends and gateway hand to the deciders, never orders and never statuses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ferryml.domain.orders import JobOrder, Json, TreeRef, Wire
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, Finding, GoneStatus, JobStatus, OutputResult

ENVIRONMENT_LOG = "system_logs/environment.log"
"""Where a job's logs say how its environment was made, image included."""


class EnvSeen(Wire):
    """What is known of one environment, by its key."""

    state: Literal["absent", "making", "ready", "failed"] = "absent"
    progress: str = ""
    """In words while `making`: `resolving 12 packages`, `waiting for another preparation`."""
    python: str = ""
    """Path of the interpreter once `ready`."""
    lock: str = ""
    """Pinned requirement lines once `ready`; the first site's lock is stored with the environment version."""
    image: str = ""
    """Once `ready`: the image that was built for it, by digest."""
    notes: tuple[str, ...] = ()
    """Said once on the job, e.g. which conda names were mapped, or that python is only the nearest."""
    code: str = ""
    message: str = ""
    """Once `failed`: names the package and what to do."""


class JobSeen(Wire):
    """What is known of one attempt of a job.

    `exited`: the user's program ended and `exit_code` says how. `lost`: it is gone without an exit code (host
    restarted, killed from outside, folder removed); no process of that attempt lives any more. `absent`: never
    launched here. `queued`: launched, and waiting for a place to run; `message` says what for. `unknown`: it cannot be
    seen at present, `message` says why; nothing follows from it.
    """

    state: Literal["absent", "queued", "staging", "running", "exited", "lost", "unknown"] = "absent"
    exit_code: int | None = None
    """128 + N when ended by signal N."""
    started_at: datetime | None = None
    """When the user's program started; timeouts count from here."""
    ended_at: datetime | None = None
    error_lines: tuple[str, ...] = ()
    """First lines that say why the user's program failed."""
    message: str = ""
    """In words: what is being staged, or why it ended."""
    code: str = ""
    """`StagingFailed`, `DiskFull`, ...: it ended before the user's program could start, for this reason."""
    outputs_done: bool = False
    """The runner has handed everything to the gateway and called complete."""
    machine_fault: bool = False
    """The machine ended it, not the user's program: worth another attempt."""
    node: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What the site's explainer found while it waits, or after it failed."""
    usage: dict[str, float] = {}
    """`cpu_seconds` of all ranks together, `memory_peak_bytes` of the largest; empty when nobody measured."""

    @property
    def live(self) -> bool:
        """Processes of this attempt may exist."""
        return self.state in ("queued", "staging", "running", "unknown")


class Receipt(Wire):
    """The gateway's word that everything of an attempt was taken: outputs, logs and MLflow calls up to `seq`."""

    seq: int
    """Journal sequence that covers all of it."""
    exit_code: int | None = None
    outputs: dict[str, OutputResult] = {}
    forwarded: bool = False
    """The server holds all of it, save what is bound to stay on the site."""
    waiting: int = 0
    """Journal entries and files not yet with the server."""
    refused: tuple[str, ...] = ()
    """In words: log lines and MLflow calls that the server will never take, and why."""
    lost_outputs: tuple[str, ...] = ()
    """In words: outputs that the server will never take although they were to leave the site, and why."""


class Launch(Wire):
    """Everything that a backend needs to start one attempt."""

    uid: str
    attempt: int
    order: JobOrder
    gateway_url: str
    """`http://127.0.0.1:PORT`, no trailing slash."""
    token: str = Field(repr=False)
    """Opens the gateway for this attempt; older attempts' tokens are dead."""
    env_key: str
    previous_outputs: dict[str, TreeRef] = {}
    """Outputs of the attempt before, so far: checkpoints for the retry."""

    @property
    def log_prefix(self) -> str:
        """Attempt 1 logs at the top, attempt N > 1 under `retry-00(N-1)/`."""
        return "" if self.attempt == 1 else f"retry-{self.attempt - 1:03d}/"


class InstanceSeen(Wire):
    """What is known of one instance of a deployment's revision."""

    revision: str
    instance: int
    state: Literal["starting", "ready", "unready", "exited", "failed", "ending"]
    """`ending`: it was told to end, takes no new requests, and something of it may still live."""
    port: int | None = None
    """Where its program answers."""
    pid: int | None = None
    restarts: int = 0
    log_tail: str = ""
    code: str = ""
    """A code once known: UserScriptInitFailed, UserScriptImportError, ..."""
    reason: str = ""


StatusOf = Annotated[JobStatus | EndpointStatus | FeedbackStatus | GoneStatus, Field(discriminator="kind")]


class StoredStatus(Wire):
    """What the ledger keeps of one uid: the last status decided, whether the server has it, and private memory."""

    uid: str
    generation: int
    """Of the wish that the status answers."""
    attempt: int = 1
    version: int = 0
    """Rises with every change, across restarts; 0 = nothing decided yet."""
    acknowledged: int = 0
    """Highest version that the server has made durable."""
    status: Annotated[JobStatus | EndpointStatus | FeedbackStatus | GoneStatus, Field(discriminator="kind")] | None = (
        None
    )
    memory: dict[str, Json] = {}
    """What the decider must remember and nobody else needs."""
    orphaned: bool = False
    """The server does not know this uid (an older backup was restored); the work is kept."""
    at: datetime | None = None
    """When the status was decided."""

    @property
    def unsent(self) -> bool:
        return self.version > self.acknowledged


def told_anew(statuses: Iterable[StoredStatus], listed: Mapping[str, int], kept: Collection[str]) -> list[StoredStatus]:
    """What a ledger keeps of its statuses when the server of a new epoch has listed uid -> generation.

    All of it is told again; wishes that are `kept` here and not listed are orphaned. A server brought back from a
    backup counts generations anew from there: what was said of a later one would outrank everything that is said from
    now on, so it is said again as of none.
    """
    return [
        one.model_copy(
            update={
                "acknowledged": 0,
                "orphaned": one.uid not in listed and one.uid in kept,
                "generation": 0 if one.generation > listed.get(one.uid, one.generation) else one.generation,
            }
        )
        for one in statuses
        if one.uid in listed or one.uid in kept
    ]
