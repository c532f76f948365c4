"""A site that is a cluster, plugged together: `ferry agent run` in a pod, or on a desk with a kubeconfig."""

from __future__ import annotations

import logging
import os
import platform
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from ferryml.agent.connections import ConnectionLoop, job_order
from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.leader import Leadership, Terms
from ferryml.agent.link import HttpLink
from ferryml.agent.loops import Backoff, Loops, Pace
from ferryml.agent.no_serving import NoServing
from ferryml.agent.operator import Hooks, Operator
from ferryml.agent.sync import Sync
from ferryml.agent.unread import Unreads
from ferryml.backends.kubernetes.access import find_access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.builds import Builds
from ferryml.backends.kubernetes.events import EventLog
from ferryml.backends.kubernetes.explaining import KubeExplainer
from ferryml.backends.kubernetes.gangs import Gangs
from ferryml.backends.kubernetes.gateway_door import HttpGatewayDoor
from ferryml.backends.kubernetes.jobs import KubeJobs
from ferryml.backends.kubernetes.lease import KubeLease
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.kubernetes.news import News
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.shells import KubeShells
from ferryml.backends.kubernetes.watched import Watched, word_of
from ferryml.bootstrap.cluster_doctor import gateway_look, make_doctor, wants_of
from ferryml.bootstrap.cluster_inventory import Inventory, types_in
from ferryml.bootstrap.cluster_member import ClusterMember, gateway_token, gateway_word, member
from ferryml.bootstrap.cluster_serving import ClusterParts, ClusterServing
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.health import HealthDoor
from ferryml.bootstrap.router_hands import cluster_router
from ferryml.compile.kubernetes.cluster import Cluster, cluster_of
from ferryml.domain.errors import FerryError, Refused, Unavailable
from ferryml.domain.lifecycle import Rules
from ferryml.domain.orders import JobOrder
from ferryml.settings import ClusterSettings, SiteSettings

log = logging.getLogger(__name__)

OLDEST = (1, 29)
"""Native sidecars."""
GATEWAY_PORT = 8443
ADMIN_AUDIENCE = "ferry-gateway-admin"
TOKEN_FILE = Path("/var/run/ferry/gateway-token")
RUNNER = Path(__file__).parents[1] / "runner"
SYNC_LIMIT_S = 120.0
LOOK_S = 30.0
"""How often the gateway's word is compared with what was read at the start."""
UNLIMITED = 1_000_000
RECHECK_S = 3.0
"""Jobs of which nothing was heard are looked at that often, for what time alone changes."""
SIDE_BY_SIDE = 8
"""Attempts that are being started at once: each waits for five answers, most of them for a disk of the cluster's."""
STARTS_A_TURN = 64
"""Then the others are looked at, and what came of these is written down."""
PACE = Pace(busy_tick_s=2, serving_tick_s=2, idle_tick_s=15, gather_s=0.02)
"""News wake the operator; the ticks are for what time alone changes."""


class ClusterSite:
    """What the leading agent runs, anew each time it comes to lead. `start` returns once everything was read."""

    def __init__(
        self, settings: SiteSettings, knobs: ClusterSettings, kube: HttpKube, joined: ClusterMember, dice: SystemDice
    ) -> None:
        system, namespaces = knobs.system_namespace, knobs.allowed_namespaces()
        self.joined, self._news = joined, News()
        self._door = _door(knobs, kube, joined, self.wake)
        cluster = _cluster(settings, knobs, joined, kube.version(), self._door.url)
        self._ledger = KubeLedger(kube, system, namespaces, dice.now)
        everywhere = _watched_in(knobs, namespaces)
        self._watched = Watched(kube, everywhere, self.wake, self._ledger.heard, self._ledger.sighted)
        patience = Patience(knobs.image_patience_s, dice.now)
        builds = Builds(kube, self._watched, self._door, cluster, patience, dice.now)
        environments = Preparations(kube, self._watched, self._door, cluster, patience, dice.now, self.wake, builds)
        gangs = Gangs(kube, self._watched, cluster, dice.now)
        self._explainer = KubeExplainer(kube, self._watched, self._order, dice.now, self.wake, knobs.autoscaled)
        self._events = EventLog(kube, self._door)
        jobs = KubeJobs(
            kube, self._watched, self._door, environments, cluster, self._ledger.held, patience, gangs, dice.now,
            self._ledger.settled, settings.keep_finished_s, explainer=self._explainer, news=self._news,
            events=self._events,
        )  # fmt: skip
        doctor = make_doctor(
            settings, kube, cluster, wants_of(knobs), lambda: types_in(self._watched)[0],
            lambda: gateway_look(knobs.gateway_call_url or self._door.url, joined.gateway.authority),
        )  # fmt: skip
        self._inventory = Inventory(knobs, kube, self._watched, doctor, cluster, dice.now, self.beat)
        gangs.taken = self._inventory.taken
        shared = ClusterParts(kube, self._watched, self._door, environments, cluster, self._ledger, self._explainer)
        self._serving: ClusterServing | None = None
        if knobs.inference:
            router = cluster_router(kube, system, dice.now, knobs.router_url)
            self._serving = ClusterServing(shared, router, knobs, dice.now, self.wake)
        unreads = Unreads()
        operator = Operator(
            self._ledger, JobOperator(jobs, self._door, _job_rules(settings)),
            Hooks(self._serving.agent if self._serving else NoServing(), self._inventory.heard, unreads),
            dice.now,
            settings.report_interval_s,
        )  # fmt: skip
        link = HttpLink(joined.wire)
        self.loops = Loops(
            link, Sync(link, self._ledger, dice.now, unreads), operator,
            lambda: unreads.tells(self._inventory.heartbeat()), lambda answer: None,
            _pace(settings), random.SystemRandom().random,
        )  # fmt: skip
        self._connections: ConnectionLoop | None = None
        if settings.connect:
            shells = KubeShells(find_access(), lambda uid, attempt: self._watched.pods.select(word_of(uid, attempt)))
            self._connections = ConnectionLoop(link, shells, job_order(self._ledger))
            self._inventory.capabilities = (*self._inventory.capabilities, "connect")

    def start(self) -> None:
        """Raises Unavailable while the cluster does not tell what is in it."""
        self._ledger.open()
        self._watched.start(SYNC_LIMIT_S)
        self._door.start()
        self._explainer.start()
        self._events.start()
        if self._serving is not None:
            self._serving.start()
        self.loops.start()
        self._inventory.start()
        if self._connections is not None:
            self._connections.start()

    def stop(self) -> None:
        """Work goes on without us; shells in it end."""
        if self._connections is not None:
            self._connections.stop()
        self._inventory.stop()
        self._explainer.stop()
        self._events.stop()
        self.loops.stop()
        if self._serving is not None:
            self._serving.stop()
        self._watched.stop()
        self._door.close()
        self._ledger.close()
        self.joined.wire.close()

    def beat(self) -> None:
        """The server should hear of it now."""
        self.loops.beat()

    def _order(self, uid: str) -> JobOrder | None:
        wish = self._ledger.wish(uid)
        return wish.order if wish is not None and isinstance(wish.order, JobOrder) else None

    def wake(self, uid: str = "") -> None:
        """Something changed, with that job or with any: look now."""
        self._news.tell(uid)
        loops = getattr(self, "loops", None)
        if loops is not None:
            loops.wake()


class Agent:
    """One replica: waits for the lease, works while it holds it."""

    def __init__(self, settings: SiteSettings, knobs: ClusterSettings, join_token: str, dice: SystemDice) -> None:
        self._settings, self._knobs, self._join_token, self._dice = settings, knobs, join_token, dice
        plain = HttpKube(find_access())
        name = os.environ.get("POD_NAME") or f"{platform.node()}-{dice.id(6)}"
        self._changed = threading.Event()
        book = KubeLease(plain, knobs.system_namespace, knobs.lease_s, dice.now)
        terms = Terms(knobs.lease_s, knobs.lease_s / 3, knobs.lease_s / 6)
        self.leadership = Leadership(book, name, terms, self._changed.set, self._changed.set)
        self._kube = plain.fenced(self.leadership.check)
        self._site: ClusterSite | None = None
        self._over = threading.Event()
        self._trouble = "starting"

    def run(self, ready: Callable[[], None]) -> None:
        """Until `stop`."""
        _check_version(self._kube.version())
        self.leadership.start()
        backoff = Backoff(self._settings.retry_min_s, self._settings.retry_max_s, random.SystemRandom().random)
        try:
            while not self._over.is_set():
                self._changed.clear()
                if not self.leadership.leads:
                    self._end()
                    self._changed.wait(LOOK_S)
                    continue
                try:
                    self._work(ready)
                    backoff.worked()
                except Unavailable as error:
                    self._say(f"{error.code}: {error.message}")
                    self._changed.wait(backoff.failed())
                except Refused as error:
                    # people can mend it (a new join token), so it is tried again, but not soon
                    self._say(f"{error.code}: {error.message} {error.hint}")
                    self._changed.wait(self._settings.retry_max_s)
        finally:
            self._end()
            self.leadership.stop()
            self._kube.close()

    def stop(self) -> None:
        self._over.set()
        self._changed.set()

    def ready(self) -> str:
        """Why it is not ready; a replica that stands by is ready."""
        if self._site is not None or (self.leadership.holder and not self.leadership.leads):
            return ""
        return self._trouble

    def _work(self, ready: Callable[[], None]) -> None:
        if self._site is None:
            knobs = self._knobs
            joined = member(self._kube, knobs.system_namespace, self._settings, self._join_token, self._dice)
            site = ClusterSite(self._settings, knobs, self._kube, joined, self._dice)
            try:
                site.start()
            except FerryError:
                site.stop()
                raise
            self._site, self._trouble = site, ""
            ready()
        self._changed.wait(LOOK_S)
        if (
            self.leadership.leads
            and gateway_word(self._kube, self._knobs.system_namespace) != self._site.joined.gateway
        ):
            log.info("the gateway has another word for itself; starting anew with it")
            self._end()

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("the site does not work yet: %s", trouble)
        self._trouble = trouble

    def _end(self) -> None:
        if self._site is not None:
            self._site.stop()
            self._site = None


def run(
    settings: SiteSettings, knobs: ClusterSettings, join_token: str = "", ready: Callable[[], None] = lambda: None
) -> None:
    """`ferry agent run` for a cluster: until SIGTERM or SIGINT."""
    agent = Agent(settings, knobs, join_token, SystemDice())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    health = HealthDoor("", knobs.health_port, lambda: "", agent.ready)
    health.start()
    try:
        agent.run(ready)
    finally:
        health.stop()


def _door(
    knobs: ClusterSettings, kube: HttpKube, joined: ClusterMember, heard: Callable[[str], None]
) -> HttpGatewayDoor:
    url = knobs.gateway_url or joined.gateway.url
    url = url or f"https://ferry-gateway.{knobs.system_namespace}.svc:{GATEWAY_PORT}"
    token = gateway_token(
        TOKEN_FILE.read_text, lambda: kube.account_token(knobs.system_namespace, "ferry-agent", ADMIN_AUDIENCE)
    )
    return HttpGatewayDoor(url, knobs.gateway_call_url or url, joined.gateway.authority, token, heard)


def _cluster(settings: SiteSettings, knobs: ClusterSettings, joined: ClusterMember, version: str, url: str) -> Cluster:
    return cluster_of(
        settings.model_dump(), knobs.model_dump(), gateway_url=url, ca=joined.gateway.authority,
        main_sh=_script("main.sh"), prepare_sh=_script("main.sh"),
        build_ca_pem=knobs.build_ca.read_text() if knobs.build_ca is not None else "", kubernetes=_numbers(version),
    )  # fmt: skip


def _watched_in(knobs: ClusterSettings, namespaces: tuple[str, ...]) -> tuple[str, ...]:
    """Empty: everywhere."""
    builds = (knobs.builds_namespace,) if knobs.build_registry else ()
    own = (knobs.environments_namespace, *builds, knobs.system_namespace)
    return tuple(dict.fromkeys((*namespaces, *own))) if namespaces else ()


def _script(name: str) -> str:
    return (RUNNER / name).read_text(encoding="utf-8")


def _check_version(version: str) -> None:
    if _numbers(version) < OLDEST:
        raise Refused(
            "NotSupported", f"this cluster runs Kubernetes {version}; Ferry needs 1.29 or newer, for native sidecars",
            "Upgrade the cluster.",
        )  # fmt: skip


def _numbers(version: str) -> tuple[int, int]:
    major, minor = ([*version.split("."), "0", "0"])[:2]
    return int(major or 0), int("".join(filter(str.isdigit, minor)) or 0)


def _pace(settings: SiteSettings) -> Pace:
    return Pace(
        poll_s=PACE.poll_s, retry_min_s=settings.retry_min_s, retry_max_s=settings.retry_max_s,
        busy_tick_s=PACE.busy_tick_s, serving_tick_s=PACE.serving_tick_s, idle_tick_s=PACE.idle_tick_s,
        gather_s=PACE.gather_s,
    )  # fmt: skip


def _job_rules(settings: SiteSettings) -> JobRules:
    return JobRules(
        lifecycle=Rules(upload_grace_s=settings.upload_grace_s, logs_stay=settings.log_upload == "none"),
        max_parallel=settings.max_parallel_jobs or UNLIMITED,
        cancel_grace_s=settings.cancel_grace_s,
        keep_finished_s=settings.keep_finished_s,
        side_by_side=SIDE_BY_SIDE,
        starts_a_turn=STARTS_A_TURN,
        recheck_s=RECHECK_S,
    )
