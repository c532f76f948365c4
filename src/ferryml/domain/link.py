"""What server and site say to each other: a *wish* is the latest state of one order, a *report* of what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ferryml.domain.orders import ALWAYS, DatastorePath, Json, Order, TreeRef, Wire
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, GoneStatus, JobStatus

PROTOCOL = 1
"""Version of this protocol. Server N serves agents that speak N and N-1."""
SERVED = (PROTOCOL, PROTOCOL - 1)


class Grant(Wire):
    """Claims of the server's signature over what one job or endpoint may fetch and write (JWT, EdDSA)."""

    iss: str
    """Server id."""
    site: str
    uid: str
    generation: int
    workspace: str
    kind: Literal["Job", "Endpoint"]
    name: str
    reads: tuple[str, ...] = ()
    """Digests it may fetch: blobs and trees (a tree grants its entries)."""
    writes: tuple[str, ...] = ()
    """Any of outputs, logs, mlflow, captures."""
    mlflow_run_id: str = ""
    zones: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    records: dict[str, DatastorePath] = {}
    """`DEPLOYMENT/COLLECTION` -> where the gateway writes its records, of those that do not go to Ferry's store."""
    models: dict[str, DatastorePath] = {}
    """Key of a model on a datastore -> where the gateway reads it."""


class Wish(Wire):
    """The latest state of one thing. `order` is None for a tombstone: stop it, clean up, report `Gone`."""

    uid: str
    generation: int
    cursor: int
    order: Order | None
    grant: str = ""
    """Signed `Grant`, or empty when nothing is fetched or written."""


class Wishes(Wire):
    """Answer of `GET /agent/v1/wishes?after=CURSOR&epoch=EPOCH&wait=SECONDS`.

    `relist` says that the epoch changed: forget the cursor, ask again with after=0 and compare in full.
    An absent uid never means deletion; only a tombstone does.
    """

    epoch: str
    cursor: int
    wishes: tuple[Wish, ...] = ()
    relist: bool = False
    more: bool = False
    server_time: datetime


class Report(Wire):
    """Observed state of one uid. A higher `version` replaces a lower one of the same uid and attempt."""

    uid: str
    generation: int
    attempt: int = 1
    version: int
    status: JobStatus | EndpointStatus | FeedbackStatus | GoneStatus = Field(discriminator="kind")
    at: datetime


class ReportsAnswer(Wire):
    """`accepted`: (uid, attempt, version) now durable. `unknown`: uids the server does not know (after a restore):
    keep the work, it is listed as orphaned."""

    epoch: str
    accepted: tuple[tuple[str, int, int], ...] = ()
    unknown: tuple[str, ...] = ()
    server_time: datetime


class Enrol(Wire):
    """`POST /agent/v1/enrol`: a one-time join token becomes two keys, the agent's and the gateway's."""

    join_token: str
    agent_key: str
    """Ed25519 public key, base64 of the raw 32 bytes."""
    gateway_key: str
    protocol: Annotated[int, ALWAYS] = PROTOCOL
    version: str
    backend: Literal["local", "kubernetes"] = "local"


class Enrolled(Wire):
    site: str
    zone: str
    server_id: str
    server_key: str
    """Ed25519 public key that signs grants, base64 of the raw 32 bytes."""
    epoch: str
    settings: dict[str, Json] = {}
    server_time: datetime


class Heartbeat(Wire):
    """`POST /agent/v1/heartbeat`: what the site is and has, at least every 30 s."""

    protocol: Annotated[int, ALWAYS] = PROTOCOL
    version: str
    capabilities: tuple[str, ...] = ()
    inventory: dict[str, Json] = {}
    """cpus, memory_bytes, disk_free_bytes, pythons, router_url, instance_types, accept_zone_bound, hostname."""
    at: datetime


class HeartbeatAnswer(Wire):
    """`settings` of the site as the server has them now."""

    server_time: datetime
    settings: dict[str, Json] = {}


class LogChunk(Wire):
    """Bytes of one log file at `offset`; replays with the same offset change nothing."""

    kind: Literal["log"] = "log"
    path: str
    """e.g. `user_logs/std_log.txt`, `retry-001/user_logs/std_log.txt`, `logs/...`."""
    offset: int
    data: str
    """base64"""


class MlflowCall(Wire):
    """A journalled MLflow write, replayed in order under the job's name. Replaying twice changes nothing."""

    kind: Literal["mlflow"] = "mlflow"
    method: str
    path: str
    """Below /mlflow, with query."""
    content_type: str = ""
    body: str = ""
    """base64; empty when `blob` holds it."""
    blob: str = ""
    provisional: str = ""
    """Provisional run id that the answer's run id replaces in what follows."""


class OutputRecord(Wire):
    """An output is complete in the site store; its blobs are (or will be) on the server unless bound."""

    kind: Literal["output"] = "output"
    name: str
    tree: TreeRef
    bound: bool = False
    placed: bool = False
    """Its files went to the datastore that was asked for, and nowhere else; `bound` is said, too."""


class JournalEntry(Wire):
    """`POST /gateway/v1/journal` takes batches of these; idempotent by (site, uid, attempt, seq), in order per uid."""

    uid: str
    attempt: int
    seq: int
    grant: str
    item: LogChunk | MlflowCall | OutputRecord = Field(discriminator="kind")


class Journal(Wire):
    entries: tuple[JournalEntry, ...]


class JournalAnswer(Wire):
    """Highest seq now durable per uid and attempt (`UID/ATTEMPT` -> seq); `results` for calls whose answer matters."""

    acknowledged: dict[str, int] = {}
    results: dict[str, Json] = {}
    refused: dict[str, Json] = {}
    """`UID/ATTEMPT/SEQ` -> error body: will never be accepted (residency, stale attempt); drop and report it."""
