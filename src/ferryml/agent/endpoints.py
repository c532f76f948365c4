"""The endpoint half of the operator: gathers what is seen, lets rollout and serving decide, and carries it out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ferryml.agent.endpoint_figures import Figures, Figuring
from ferryml.agent.endpoint_files import Files
from ferryml.agent.endpoint_ports import Captures, EnvironmentMaker, FilesDoor, RouterDoor
from ferryml.agent.endpoint_rollout import RolloutMemory, RolloutTurn, rollout_turn, under_way
from ferryml.agent.ports import EndpointTurn, GatewayDoor, ServingBackend
from ferryml.compile.serving import endpoint_route
from ferryml.domain import serving
from ferryml.domain.counters import Counters
from ferryml.domain.errors import FerryError, Refused, Unavailable
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, FeedbackOrder, RevisionOrder, Wire
from ferryml.domain.routes import EndpointRoute, key_id
from ferryml.domain.scaling import Load, Moment, ScaleMemory, scale_all
from ferryml.domain.seen import StoredStatus
from ferryml.domain.serving import Plan, Prepared, ServingMemory, ServingSeen
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, GoneStatus
from ferryml.domain.uids import uid_of

log = logging.getLogger(__name__)

CONTAINERS = ("storage-initializer", "inference-server")
MAX_LOG_PUSH = 256 * 1024
REFUSAL_S = 30.0
"""How long a refusal of the site counts before the same is tried again."""


@dataclass(frozen=True, slots=True)
class EndpointHands:
    """What the operator works with."""

    backend: ServingBackend
    environments: EnvironmentMaker
    gateway: GatewayDoor
    router: RouterDoor
    captures: Captures
    files: FilesDoor | None = None
    """None: they are brought into the site store before anything starts."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """The site's limits."""

    drain_s: float = 10
    grace_s: float = 10


class Memory(Wire):
    """What the next turn must know, also after a restart."""

    serving: ServingMemory = ServingMemory()
    rollout: RolloutMemory = RolloutMemory()
    logs: dict[str, int] = {}
    """`REVISION/CONTAINER` -> mark up to which the gateway has it."""
    scale: dict[str, ScaleMemory] = {}
    """revision -> instances by load, of those that scale."""


class EndpointAgent:
    """Implements `agent.ports.EndpointOperator`."""

    def __init__(self, hands: EndpointHands, rules: EndpointRules | None = None) -> None:
        self._hands = hands
        self._rules = rules or EndpointRules()
        self._files = hands.files or _brought_by(hands.gateway)
        self._applied: dict[str, EndpointRoute] = {}
        self._granted: dict[str, int] = {}
        self._asked: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, str], tuple[int, datetime, FerryError]] = {}
        """(uid, revision) -> generation, when, and why the site cannot carry it out."""
        self._figuring = Figuring()

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> EndpointTurn:
        """One look at one wish."""
        if wish.order is None:
            return self._retire(wish, stored)
        if isinstance(wish.order, FeedbackOrder):
            return self._feedback(wish, wish.order, stored)
        if isinstance(wish.order, EndpointOrder):
            return self._endpoint(wish, wish.order, stored, now)
        raise Refused("BadRequest", f"{wish.uid} is no endpoint")

    def close(self) -> None:
        """Deployments go on; nothing new is fetched."""
        self._files.close()

    def _endpoint(self, wish: Wish, order: EndpointOrder, stored: StoredStatus | None, now: datetime) -> EndpointTurn:
        memory = Memory.model_validate(stored.memory) if stored and stored.memory else Memory()
        before = stored.status if stored and isinstance(stored.status, EndpointStatus) else None
        self._renew(wish)
        seen = self._look(wish, order, now)
        order = order.model_copy(
            update={"revisions": tuple(self._files.resolved(wish.uid, one) for one in order.revisions)}
        )
        totals = dict(self._hands.router.totals(wish.uid))
        rollout = before.rollout if before else None
        moment = self._moment(wish.uid, seen, under_way(order, rollout))
        scaled = scale_all(order, moment, memory.scale, now)
        order = _with_counts(order, scaled)
        rolled = rollout_turn(order, rollout, memory.rollout, seen, totals, now)
        plan = serving.plan(order, rolled.split, seen, memory.serving, now, self._rules.drain_s)
        trouble = self._carry_out(wish, order, plan, seen, now)
        logs = self._push_logs(wish.uid, plan, memory.logs)
        status = self._status(wish.uid, order, plan, rolled, self._figures(wish.uid, totals, seen, now))
        if trouble:
            status = status.model_copy(update={"reason": trouble.message, "code": trouble.code})
        kept = Memory(serving=plan.memory, rollout=rolled.memory, logs=logs, scale=scaled)
        return EndpointTurn(status=status, memory=kept.model_dump(mode="json"))

    def _look(self, wish: Wish, order: EndpointOrder, now: datetime) -> ServingSeen:
        busy: dict[serving.Place, int] = {}
        for (revision, instance, _), count in self._hands.router.busy(wish.uid).items():
            busy[revision, instance] = busy.get((revision, instance), 0) + count
        prepared = {
            one.revision: self._refusal(wish, one.revision, now) or self._prepared(wish, one) for one in order.revisions
        }
        return ServingSeen(tuple(self._hands.backend.observe(wish.uid)), prepared, busy)

    def _moment(self, uid: str, seen: ServingSeen, rolling: bool) -> Moment:
        router = self._hands.router
        busy: dict[str, int] = {}
        for (revision, _), count in seen.busy.items():
            busy[revision] = busy.get(revision, 0) + count
        queued = router.queued(uid)
        loads = {name: Load(busy.get(name, 0), queued.get(name, 0)) for name in {*busy, *queued}}
        return Moment(loads, router.hears_all(uid), rolling)

    def _refusal(self, wish: Wish, revision: str, now: datetime) -> Prepared | None:
        """Counts until people wish for something else; tried again all the same, for they may mend the site."""
        generation, at, error = self._refused.get((wish.uid, revision), (-1, now, None))
        if error is None or generation != wish.generation or (now - at).total_seconds() > REFUSAL_S:
            self._refused.pop((wish.uid, revision), None)
            return None
        return Prepared("failed", f"{error.message} {error.hint}".strip(), error.code)

    def _prepared(self, wish: Wish, revision: RevisionOrder) -> Prepared:
        files = self._files.prepared(wish.uid, revision, wish.grant, wish.generation)
        revision = self._files.resolved(wish.uid, revision)
        if files.state == "failed" or not revision.environment.key:
            return files
        environment = self._hands.environments.environment(revision.environment.key)
        asked = (wish.uid, revision.revision)
        if environment.state == "absent" or (environment.state == "failed" and asked not in self._asked):
            # what failed for an earlier revision is worth another try for a new one
            self._hands.environments.prepare(revision.environment, wish.uid, wish.grant)
            self._asked.add(asked)
            return Prepared("waiting", "making the environment: about to begin")
        if environment.state == "failed":
            return Prepared("failed", environment.message, environment.code or "EnvironmentFailed")
        if environment.state == "ready":
            return files
        return Prepared("waiting", f"making the environment: {environment.progress or 'about to begin'}")

    def _carry_out(
        self, wish: Wish, order: EndpointOrder, plan: Plan, seen: ServingSeen, now: datetime
    ) -> FerryError | None:
        """Nothing is taken away before the router knows that it must not send anything there."""
        uid = wish.uid
        trouble = self._tell_router(uid, order, plan)
        orders = {one.revision: one for one in plan.running}
        for name, count in plan.counts.items():
            if trouble is not None:
                count = max(count, *(one.instance + 1 for one in seen.instances if one.revision == name), 0)
            try:
                if count == 0:
                    self._hands.backend.stop(uid, name, self._rules.grace_s)
                elif name in orders and _is_whole(orders[name]):
                    self._hands.backend.scale(uid, orders[name], count, self._rules.grace_s)
            except FerryError as error:
                trouble = error
                if isinstance(error, Refused):
                    self._refused[uid, name] = (wish.generation, now, error)
        self._files.forget(uid, frozenset(one.revision for one in order.revisions))
        return trouble

    def _tell_router(self, uid: str, order: EndpointOrder, plan: Plan) -> FerryError | None:
        route = endpoint_route(uid, order, plan)
        if self._applied.get(uid) == route:
            return None
        try:
            self._hands.router.apply(route)
        except FerryError as error:
            return error
        self._applied[uid] = route
        return None

    def _push_logs(self, uid: str, plan: Plan, sent: Mapping[str, int]) -> dict[str, int]:
        """Bytes that the link or residency refuses are tried again or dropped by the gateway, never here."""
        marks = dict(sent)
        for revision in plan.running:
            for container in CONTAINERS:
                key = f"{revision.revision}/{container}"
                said = self._hands.backend.logs(uid, revision.revision, container, marks.get(key, 0), MAX_LOG_PUSH)
                if said.data:
                    path = f"deployments/{revision.deployment}/{revision.revision}/{container}.log"
                    with contextlib.suppress(FerryError):
                        self._hands.gateway.append_log(uid, 1, path, said.data)
                        marks[key] = said.mark
        alive = {one.revision for one in plan.running}
        return {key: mark for key, mark in marks.items() if key.partition("/")[0] in alive}

    def _status(
        self, uid: str, order: EndpointOrder, plan: Plan, rolled: RolloutTurn, figures: Figures
    ) -> EndpointStatus:
        accuracy = self._hands.captures.accuracy(uid)
        known = {one.revision for one in plan.running}
        busy = rolled.running or any(one.state == "Creating" for one in plan.revisions)
        return EndpointStatus(
            state="Succeeded" if not busy else "Updating" if plan.memory.succeeded else "Creating",
            scoring_uri=f"{self._hands.router.url}/api/v1/endpoint/{order.name}/score",
            revisions=plan.revisions,
            weights=serving.percents(plan.weights),
            token_keys=tuple(map(key_id, self._applied[uid].token_keys)) if uid in self._applied else (),
            rollout=rolled.status,
            counters={name: told for name, told in figures.items() if name in known},
            accuracy={name: both[0] for name, both in accuracy.items()},
            recent_accuracy={name: both[1] for name, both in accuracy.items()},
        )

    def _figures(self, uid: str, totals: Mapping[str, Counters], seen: ServingSeen, now: datetime) -> Figures:
        router = self._hands.router
        return self._figuring.of(uid, totals, router.recent(uid), seen.busy, router.queued(uid), now)

    def _feedback(self, wish: Wish, order: FeedbackOrder, stored: StoredStatus | None) -> EndpointTurn:
        if stored and stored.generation == wish.generation and isinstance(stored.status, FeedbackStatus):
            return EndpointTurn(status=stored.status)
        uid = uid_of("endpoint", order.workspace, order.endpoint)
        matched, unmatched = self._hands.captures.join(uid, order.labels)
        return EndpointTurn(status=FeedbackStatus(matched=matched, unmatched=unmatched))

    def _retire(self, wish: Wish, stored: StoredStatus | None) -> EndpointTurn:
        if not wish.uid.startswith("endpoint."):
            return EndpointTurn(status=GoneStatus())
        self._hands.router.drop(wish.uid)
        self._applied.pop(wish.uid, None)
        left = self._hands.backend.observe(wish.uid)
        for revision in sorted({one.revision for one in left}):
            self._hands.backend.stop(wish.uid, revision, self._rules.grace_s)
        if left:
            return EndpointTurn(status=EndpointStatus(state="Deleting"), memory=stored.memory if stored else {})
        self._files.forget(wish.uid)
        self._hands.backend.clean(wish.uid)
        self._hands.captures.forget(wish.uid)
        self._figuring.forget(wish.uid)
        self._hands.gateway.dismiss(wish.uid)
        return EndpointTurn(status=GoneStatus())

    def _renew(self, wish: Wish) -> None:
        """A gateway that is away keeps nobody from serving; it is told in a later turn."""
        if not wish.grant or self._granted.get(wish.uid) == wish.generation:
            return
        try:
            self._hands.gateway.renew(wish.uid, wish.grant)
            self._granted[wish.uid] = wish.generation
        except Unavailable as error:
            log.warning("%s: its grant is renewed later: %s", wish.uid, error.message)


def _brought_by(gateway: GatewayDoor) -> Files:
    return Files(lambda digest, grant: gateway.fetch(digest, grant).read_bytes(), gateway.model, gateway.fetch)


def _is_whole(revision: RevisionOrder) -> bool:
    """Whether anything can be made of it: after a restart the gateway must say first which model it is."""
    return revision.model_source is None or revision.model is not None


def _with_counts(order: EndpointOrder, scaled: Mapping[str, ScaleMemory]) -> EndpointOrder:
    revisions = tuple(
        one.model_copy(update={"instances": scaled[one.revision].wanted}) if one.revision in scaled else one
        for one in order.revisions
    )
    return order.model_copy(update={"revisions": revisions})
