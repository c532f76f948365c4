"""What the explainer looks at: objects as the Kubernetes API answers them, and what Ferry's own programs said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
Object = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API refused something that was applied."""

    what: str
    """In words: `the Job`, `the ConfigMap`, `namespace team-a`."""
    status: int
    reason: str
    """Of the API's Status object: Forbidden, NotFound, Invalid, ..."""
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything is optional: the rules say what the facts allow. Objects are the API's own JSON.

    `nodes` may be nodes of the API or of a heartbeat's inventory. Events are those of the pods, the Job and its claims.
    """

    pods: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()
    quotas: tuple[Object, ...] = ()
    claims: tuple[Object, ...] = ()
    job: Object | None = None
    """The batch/v1 Job of the attempt."""
    namespace: Object | None = None
    workload: Object | None = None
    """Kueue's Workload of the Job, where there is one."""
    refusals: tuple[Refusal, ...] = ()
    instance_type: str = ""
    instance_types: Mapping[str, Object] = field(default_factory=dict)
    """name -> spec of the custom resource."""
    instance_count: int = 1
    runner: Mapping[int, Object] = field(default_factory=dict)
    """rank -> the last state that stage or collect sent to the gateway."""
    environment: Object | None = None
    """`EnvSeen` as JSON: state, code, message, progress."""
    phase: str = ""
    exit_code: int | None = None
    error_lines: tuple[str, ...] = ()
    log_tail: str = ""
    link_code: str = ""
    """Of the last call to the server, when it failed."""
    link_message: str = ""
    gateway_down: str = ""
    """In words, when the site's own gateway does not answer the agent."""
    clock_skew_s: float = 0.0
    """Site's clock minus the server's."""
    gang_waiting: str = ""
    """In words, while a gang is held back by Ferry itself."""
    waited_s: float = 0.0
    """How long it has been waiting for a place."""
    autoscaled: bool = False

    @property
    def ended(self) -> bool:
        """The user's program has an exit code."""
        return self.exit_code is not None


def name_of(thing: Object) -> str:
    """metadata.name."""
    return str(((thing.get("metadata") or {}).get("name")) or thing.get("name") or "")


def statuses(pod: Object) -> Iterator[tuple[str, Object]]:
    """(`stage`|`collect`|`main`|..., container status) of every container, init ones first."""
    status = pod.get("status") or {}
    for key in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(key) or ():
            yield str(each.get("name", "")), each


def condition(thing: Object, kind: str) -> Object:
    """The condition of that type, or an empty one."""
    for each in (thing.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            return dict(each)
    return {}


def about(event: Object) -> Object:
    """What an event is about, in either of the API's two shapes."""
    return dict(event.get("involvedObject") or event.get("regarding") or {})


def words_of(event: Object) -> str:
    """An event's text, in either of the API's two shapes."""
    return str(event.get("message") or event.get("note") or "")
