"""What the use cases need from the hands: rows, bytes, tracking, keys. Implemented in store and server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from ferryml.domain.link import Grant, Report

Json = Any
Kind = Literal[
    "workspace", "site", "compute", "datastore", "data", "model", "environment", "code", "component", "job",
    "endpoint", "deployment", "revision", "rollout", "automation", "automation_run", "token", "feedback", "setting",
    "connection", "webhook", "delivery",
]  # fmt: skip


class Row(BaseModel):
    """One current thing. `spec` is what was asked, `status` what is; both JSON objects.

    Key: (kind, workspace, name, version); workspace is "" for server-wide kinds (workspace, site, setting);
    version is "" for kinds without versions. `phase` and `parent` are indexed for the loops and lists.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    workspace: str = ""
    name: str
    version: str = ""
    spec: dict[str, Json] = {}
    status: dict[str, Json] = {}
    phase: str = ""
    parent: str = ""
    """deployment: its endpoint; revision: `ENDPOINT/DEPLOYMENT`; automation_run: its automation; job: parent job;
    delivery: its webhook."""
    labels: dict[str, str] = {}
    created_by: str = ""
    archived: bool = False
    etag: int = 0
    """Rises with each update; `Tx.update` refuses (VersionConflict) when it is not the stored one."""
    seq: int = 0
    """Server-wide creation order; `@latest` is the highest."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WishRow(BaseModel):
    model_config = ConfigDict(frozen=True)
    site: str
    uid: str
    generation: int
    cursor: int
    order: dict[str, Json] | None
    grant: str = ""


class Edge(BaseModel):
    """Lineage: `source` flows into `target`. Nodes: `KIND:NAME[:VERSION]`, e.g. `data:digits:2`."""

    model_config = ConfigDict(frozen=True)
    workspace: str
    source: str
    relation: str
    """input, code, environment, output, evaluated, deployed."""
    target: str


class Entry(BaseModel):
    """One row of the audit trail or of the events."""

    model_config = ConfigDict(frozen=True)
    seq: int
    at: datetime
    workspace: str
    actor: str
    verb: str
    subject: str
    details: dict[str, Json] = {}


class TreeFile(BaseModel):
    model_config = ConfigDict(frozen=True)
    path: str
    digest: str
    size: int


class Tx(Protocol):
    """One transaction: all or nothing. No network inside. Opened by `Store.begin()`; commits when the block ends
    without an exception. Everything is durable when `begin()`'s block has been left."""

    def now(self) -> datetime:
        """The database's clock, aware UTC; the same all through the transaction."""

    # rows
    def get(self, kind: Kind, workspace: str, name: str, version: str = "") -> Row | None: ...
    def latest(self, kind: Kind, workspace: str, name: str) -> Row | None:
        """The most recently created version that is not archived."""

    def find(
        self, kind: Kind, *, workspace: str | None = None, name: str | None = None, parent: str | None = None,
        phases: Sequence[str] = (), archived: Literal["no", "yes", "any"] = "no", after: int = 0, limit: int = 1000,
        newest_first: bool = False, label: tuple[str, str] | None = None,
    ) -> list[Row]: ...  # fmt: skip
    def insert(self, row: Row) -> Row:
        """Raises Conflict(AlreadyExists). Sets seq, etag, created_at, updated_at."""

    def update(self, row: Row) -> Row:
        """Raises Conflict(VersionConflict) when row.etag is not the stored one."""

    def delete(self, kind: Kind, workspace: str, name: str, version: str = "") -> bool: ...

    # the link
    def put_wish(
        self, site: str, uid: str, order: Mapping[str, Json] | None, grant: Callable[[int], str] | None = None
    ) -> WishRow:
        """Replaces the wish of uid; generation + 1; cursor allocated under the site's row lock. No-op when equal."""

    def wish(self, site: str, uid: str) -> WishRow | None: ...
    def wishes(self, site: str, after: int, limit: int) -> list[WishRow]: ...
    def drop_wish(self, site: str, uid: str) -> None:
        """After `Gone` was reported for a tombstone."""

    def put_report(self, site: str, report: Report) -> bool:
        """Keeps it if it is newer (attempt, version) than the stored one of (site, uid); True if it was kept."""

    def report(self, site: str, uid: str) -> Report | None: ...
    def unhandled_reports(self, limit: int = 100) -> list[tuple[str, Report]]: ...
    def handled(self, site: str, report: Report) -> None: ...
    def epoch(self) -> str: ...
    def set_epoch(self, epoch: str) -> None: ...
    def journal_ack(self, site: str, stream: str) -> int:
        """Highest journal seq applied for `UID/ATTEMPT`; 0 = none."""

    def set_journal_ack(self, site: str, stream: str, seq: int) -> None: ...

    # logs
    def append_log(self, workspace: str, owner: str, path: str, offset: int, data: bytes) -> int:
        """Appends what lies past the present end (replays change nothing; a gap raises Refused OffsetMismatch).
        `owner` is the uid. Returns the new size in bytes."""

    def read_log(self, workspace: str, owner: str, path: str, offset: int, limit: int) -> bytes: ...
    def list_logs(self, workspace: str, owner: str) -> list[tuple[str, int]]: ...
    def delete_logs(self, workspace: str, owner: str) -> int:
        """All files of the owner; how many."""

    # bytes known
    def link_blob(self, workspace: str, digest: str, size: int, place: str = "") -> None:
        """The workspace may see this digest. place: "" = the server's artifact store, else a site's name."""

    def blob_places(self, workspace: str, digests: Iterable[str]) -> dict[str, tuple[int, tuple[str, ...]]]: ...
    def put_path(self, workspace: str, path: str, digest: str, size: int) -> None:
        """MLflow-artifact tree: one file at `path`."""

    def paths(self, workspace: str, prefix: str) -> list[TreeFile]: ...
    def delete_paths(self, workspace: str, prefix: str) -> int: ...

    # memory
    def audit(self, actor: str, workspace: str, verb: str, subject: str, details: Mapping[str, Json]) -> None: ...
    def event(self, workspace: str, verb: str, subject: str, details: Mapping[str, Json]) -> None: ...
    def audits(self, workspace: str, after: int = 0, limit: int = 100) -> list[Entry]: ...
    def forget_audits(self, before: datetime) -> int:
        """Deletes what is older, in all workspaces; how many."""

    def events(self, workspace: str, after: int = 0, limit: int = 100, subject: str | None = None) -> list[Entry]: ...
    def link(self, edge: Edge) -> None:
        """Idempotent."""

    def edges(self, workspace: str, *, source: str | None = None, target: str | None = None) -> list[Edge]: ...

    # leases
    def lease(self, name: str, holder: str, ttl_s: float) -> bool:
        """True while `holder` has it; taken over when expired by the database's clock."""


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Tx]: ...
    def read(self) -> AbstractContextManager[Tx]:
        """A transaction that only looks: one moment of the database, never waits for writers; writes fail."""

    def wake(self, channel: str) -> None:
        """Tell waiters on `channel` (`site:NAME`, `loops`, `job:UID`), in every server replica, to look again."""

    def wait(self, channel: str, timeout_s: float) -> bool:
        """Block this thread until a wake or the timeout; True = woken. May wake spuriously. A wake since this thread
        last opened a transaction counts: look, then wait in the same thread, and nothing falls in between."""


class Blobs(Protocol):
    """Content-addressed bytes: digest `sha256:HEX`. Writes are atomic: a digest exists whole or not at all."""

    def has(self, digests: Iterable[str]) -> set[str]: ...
    def size(self, digest: str) -> int:
        """Raises NotFound(BlobMissing)."""

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]: ...
    def put(self, chunks: Iterable[bytes], digest: str | None = None) -> tuple[str, int]:
        """Stores and returns (digest, size); with `digest` given raises Refused(DigestMismatch) if it differs."""

    # resumable uploads; ids are made by the caller
    def upload_offset(self, upload: str) -> int: ...
    def upload_append(self, upload: str, offset: int, chunks: Iterable[bytes], limit: int) -> int:
        """Returns the new offset. Raises Refused(OffsetMismatch), TooLarge(UploadTooLarge), Unavailable(DiskFull)."""

    def upload_finish(self, upload: str, digest: str) -> int:
        """Verifies and publishes; returns size. Idempotent once the digest exists."""

    def upload_drop(self, upload: str) -> None: ...
    def upload_sweep(self, before: datetime) -> int:
        """Drops unfinished uploads not touched since; returns how many."""

    def delete(self, digest: str) -> None: ...


class ModelVersion(BaseModel):
    model_config = ConfigDict(frozen=True)
    workspace: str
    name: str
    version: str
    source: str
    """MLflow artifact path of the model's folder inside the workspace's tree (`Tx.paths` prefix)."""
    run_id: str = ""
    created_ms: int = 0


class Tracking(Protocol):
    """The embedded MLflow server, called in process."""

    def ensure_workspace(self, workspace: str) -> None: ...
    def create_run(self, workspace: str, experiment: str, job: str, tags: Mapping[str, str]) -> str:
        """Run id; idempotent per job."""

    def end_run(self, workspace: str, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None: ...
    def metrics(self, workspace: str, run_id: str) -> dict[str, float]: ...
    def params(self, workspace: str, run_id: str) -> dict[str, str]: ...
    def artifacts(self, workspace: str, run_id: str, path: str) -> str:
        """Prefix for `Tx.paths` of a path among a run's artifacts, or of the model logged there under that name.
        Raises NotFound for an unknown run."""

    def register_model(self, workspace: str, name: str, version: str, source: str, run_id: str) -> None:
        """Makes an MLflow model version for a Ferry model; idempotent."""

    def model_versions(self, workspace: str, since_ms: int) -> list[ModelVersion]: ...
    def call(
        self, workspace: str, method: str, path: str, content_type: str, body: bytes, job: str = ""
    ) -> tuple[int, bytes]:
        """Replays one journalled MLflow call as that workspace; returns (HTTP status, body). With `job` (its name) the
        call may write to that job's runs only. A runs/create whose tags hold `ferry.provisional` makes one run."""

    def open_file(self, workspace: str, path: str) -> tuple[int, Iterator[bytes]]:
        """Size and content of `GET api/2.0/mlflow-artifacts/artifacts/PATH`. Raises NotFound, Refused(PathEscapes)."""


class Keys(Protocol):
    """Signing and sealing. The private halves never leave the implementation."""

    server_id: str

    def public_key(self) -> str:
        """Ed25519 public key, base64 raw."""

    def sign_grant(self, grant: Grant) -> str: ...
    def verify_grant(self, token: str) -> Grant:
        """The claims of a grant that this server signed; raises Forbidden `BadGrant`."""

    def seal(self, plain: str) -> str:
        """Encrypts a secret for the database (AES-GCM/Fernet)."""

    def unseal(self, sealed: str) -> str: ...
    def hash_token(self, secret: str) -> str:
        """For high-entropy secrets: sha256 hex."""

    def new_token_key(self) -> tuple[str, str]:
        """A new P-256 key for tokens of endpoints: (public half as PEM, private half sealed)."""

    def sign_token(self, sealed: str, claims: Mapping[str, Json]) -> str:
        """A JWT (ES256) by a key of `new_token_key`; header `kid` is `domain.routes.key_id` of its public half."""

    def verify_site_jwt(self, token: str, public_keys: Mapping[str, str], now: datetime) -> str:
        """Returns the subject (`SITE/agent` or `SITE/gateway`) or raises Unauthenticated."""


class Answered(BaseModel):
    """What a stranger answered to a post."""

    model_config = ConfigDict(frozen=True)
    status: int
    said: str = ""
    """The beginning of the body; for owners only, for it may come from inside of a network."""
    retry_after_s: float = 0.0


class Post(Protocol):
    """Posts to addresses that people name; the only way out of the server."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """One request, bounded in time and size; nothing is followed. Raises Unavailable when nobody answered, and
        Forbidden or Refused when the address is not one that this server may talk to. Errors name the host alone."""


class Dice(Protocol):
    """Randomness and wall clock, owned by bootstrap."""

    def id(self, length: int = 10) -> str:
        """a-z0-9, unguessable enough to be unique."""

    def secret(self) -> str:
        """At least 256 bits, URL-safe."""

    def now(self) -> datetime: ...
