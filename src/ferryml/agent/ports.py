"""What the agent needs from hands that it does not know: a ledger, backends, the gateway and the way to the server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ferryml.agent.unread import Heard
from ferryml.domain.connection import ConnectionAsk, Connections, Frame, Piece, Terminal
from ferryml.domain.link import Heartbeat, HeartbeatAnswer, Report, ReportsAnswer, Wish
from ferryml.domain.orders import EnvironmentOrder, Json, RevisionOrder, TreeRef, Wire
from ferryml.domain.seen import EnvSeen, InstanceSeen, JobSeen, Launch, Receipt, StoredStatus
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, GoneStatus


class Ledger(Protocol):
    """Wishes and their observed state on this site. Each call is one transaction, durable when it returns."""

    def epoch(self) -> str:
        """The server's epoch that the cursor belongs to; empty before the first answer."""

    def cursor(self) -> int: ...
    def wishes(self) -> list[Wish]: ...
    def wish(self, uid: str) -> Wish | None: ...
    def take(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        """Keeps the latest wish of each uid together with the cursor that they came with."""

    def bury(self, uid: str, remember: bool) -> None:
        """Drops the wish of uid if it is a tombstone by now (or none came), and its status unless `remember`:
        what is remembered is never carried out a second time."""

    def status(self, uid: str) -> StoredStatus | None: ...
    def statuses(self) -> list[StoredStatus]: ...
    def put_statuses(self, statuses: Iterable[StoredStatus]) -> None: ...
    def acknowledge(self, accepted: Iterable[tuple[str, int, int]], unknown: Iterable[str]) -> None:
        """(uid, attempt, version) are durable on the server; `unknown` uids become orphaned: kept, and told again
        only when they change. Acceptance may be forgotten by a restart: telling once more changes nothing."""

    def relist(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        """The whole list of a new epoch: takes it, and marks what it lacks as orphaned (never deletes). All statuses
        count as unacknowledged again, because the server may have lost any of them."""


class JobBackend(Protocol):
    """Runs attempts of jobs and makes their environments. Every order is idempotent; nothing here waits."""

    def tend(self) -> Collection[str] | None:
        """Once a turn, before anything is looked at: what must be done without an order.

        Returns:
            uids of which there is news since the last turn; None when anything may have changed.
        """

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        """Start making it in the background; no-op while making or ready. A failed one is tried again.

        `uid` needs it, under whose `grant` a cluster's gateway lets the preparation in.
        """

    def environment(self, key: str) -> EnvSeen: ...
    def launch(self, launch: Launch) -> None:
        """Starts the attempt; no-op when (uid, attempt) was launched before."""

    def observe(self, uid: str, attempt: int) -> JobSeen: ...
    def kill(self, uid: str, attempt: int, grace_s: float) -> None:
        """Asks the whole group to end, kills it after `grace_s`. Returns at once; repeated calls are harmless."""

    def clean(self, uid: str) -> None:
        """Removes folders and memory of all attempts of uid; nothing of it may live."""

    def list(self) -> list[tuple[str, int]]:
        """(uid, attempt) of everything here, for re-adoption and orphans."""


@dataclass(frozen=True, slots=True)
class LogRead:
    """A piece of a log, and the mark after which the next piece begins."""

    data: bytes
    mark: int


class ServingBackend(Protocol):
    """Runs instances of revisions. Every order is idempotent; nothing here waits."""

    def scale(self, uid: str, rev: RevisionOrder, count: int, grace_s: float) -> None:
        """So many instances from now on: numbers 0 to `count` - 1. Others are asked to end, and killed after `grace_s`;
        new ones are started, and what of the order may change while it runs is taken over."""

    def stop(self, uid: str, revision: str, grace_s: float) -> None:
        """No instance of the revision any more; also of one whose order nobody knows."""

    def observe(self, uid: str) -> list[InstanceSeen]:
        """All instances; those that are ending too, as long as anything of them may live."""

    def logs(self, uid: str, revision: str, container: str, after: int = 0, limit: int = 1 << 20) -> LogRead:
        """`inference-server` or `storage-initializer`: up to `limit` bytes after a mark (0: from the beginning that is
        kept), as far as they are known; also after the instances have ended."""

    def clean(self, uid: str) -> None:
        """Removes everything of the endpoint; no instance of it may live."""


class GatewayDoor(Protocol):
    """The agent's side of the gateway: who may come in, and what has arrived."""

    @property
    def url(self) -> str:
        """Where work on this site reaches it, no trailing slash."""

    def admit(self, uid: str, attempt: int, grant: str, namespace: str = "") -> str:
        """A new token for the attempt; tokens of older attempts die. Raises Forbidden(BadGrant).

        On a cluster the token is empty: pods of the attempt in `namespace` come in with their service account's.
        """

    def renew(self, uid: str, grant: str) -> None:
        """The wish came with a newer grant: what follows is judged by it."""

    def dismiss(self, uid: str) -> None:
        """All tokens of uid die."""

    def receipt(self, uid: str, attempt: int) -> Receipt | None:
        """None until the attempt has called complete."""

    def outputs(self, uid: str, attempt: int) -> dict[str, TreeRef]:
        """Outputs recorded so far by that attempt: what a retry starts from."""

    def lived(self, uid: str) -> int:
        """The newest attempt of which anything was heard; 0 when there is none. Raises Unavailable."""

    def fetch(self, digest: str, grant: str) -> Path:
        """Path of the verified bytes in the site store, fetched from the server when absent (blocks).
        Raises Forbidden(BadGrant), NotFound(BlobMissing), Unavailable(ServerUnreachable)."""

    def model(self, key: str, grant: str) -> TreeRef:
        """A model that lies on a datastore, in the site store; `key` is the grant's name for it.
        Raises Unavailable while it is being fetched, NotFound, Refused (`DigestMismatch`: it has changed since)."""

    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None:
        """Adds to a log file of uid on behalf of the site itself, e.g. `system_logs/environment.log`."""


class ServerLink(Protocol):
    """One call to the server each. Raises Unavailable (try again), Refused (will not help)."""

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard: ...
    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer: ...
    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer: ...


class ConnectionLink(Protocol):
    """The site's end of shells in jobs. Raises Unavailable (try again), Refused (it is over)."""

    def connections(self, known: Sequence[str], wait_s: float) -> Connections: ...
    def hear(self, connection: str, offset: int, wait_s: float) -> Piece: ...
    def say(self, connection: str, piece: Piece) -> None: ...


class Shell(Protocol):
    """A program that runs beside a job's own."""

    def read(self) -> Frame:
        """Blocks. `exit` comes last, and whoever asks after it is told it again."""

    def write(self, data: bytes) -> None: ...
    def resize(self, terminal: Terminal) -> None: ...
    def end_input(self) -> None: ...
    def close(self) -> None:
        """Ends it, with all that it has started; no-op when it has ended."""


class Shells(Protocol):
    """Opens shells in running jobs."""

    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> Shell:
        """Raises Conflict(NotRunning), Refused, Unavailable."""


class EndpointTurn(Wire):
    """What one look at an endpoint came to."""

    status: EndpointStatus | FeedbackStatus | GoneStatus
    memory: dict[str, Json] = {}


class EndpointOperator(Protocol):
    """Serving's part of the operator: called every tick for each wish named `endpoint.*` or `feedback.*`."""

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> EndpointTurn:
        """Observe, decide, apply; never blocks. `wish.order is None`: stop it and say Gone once nothing is left.
        The returned memory comes back as `stored.memory` in the next turn, also after a restart."""


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The lease as it was read. `version` changes with every write; empty: there is none yet."""

    holder: str = ""
    version: str = ""
    duration_s: float = 15


class LeaseBook(Protocol):
    """One lease that all agents of the site see."""

    def read(self) -> LeaseSeen:
        """Raises Unavailable."""

    def write(self, holder: str, after: LeaseSeen) -> LeaseSeen:
        """Renews or takes it; an empty holder gives it up. Raises Conflict when someone wrote after `after`."""


class Kube(Protocol):
    """What doctor and inventory ask of a cluster. `kind` is group/version/plural: `v1/pods`, `batch/v1/jobs`.

    Objects are the API's own JSON. Raises Forbidden (403), Refused with the API's message, Unavailable.
    """

    def version(self) -> str:
        """Of the API server, e.g. `1.34.4`."""

    def get(self, kind: str, name: str, namespace: str = "") -> Mapping[str, Json] | None:
        """None when there is none."""

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Sequence[Mapping[str, Json]]:
        """Items; none when the API does not serve the kind. Empty namespace: all of them."""

    def create(self, kind: str, body: Mapping[str, Json], namespace: str = "") -> Mapping[str, Json]:
        """As the API answers it; for reviews that is the verdict."""

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """No-op when there is none; pods and Jobs take what they own along, without grace."""

    def log(self, pod: str, namespace: str, container: str = "") -> str:
        """What a container has printed."""
