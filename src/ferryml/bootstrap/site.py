"""A local site in one process: agent, gateway and router plugged together, each with its own credential."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ferryml.agent.connections import ConnectionLoop, job_order
from ferryml.agent.endpoints import EndpointAgent, EndpointHands, EndpointRules
from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.keys import Clock, KeySigner, load_or_make, public_text
from ferryml.agent.link import HttpLink, enrol
from ferryml.agent.loops import Backoff, Loops, Pace
from ferryml.agent.operator import Hooks, Operator
from ferryml.agent.sync import Sync
from ferryml.agent.unread import Unreads
from ferryml.backends.local.environments import LocalEnvironments
from ferryml.backends.local.jobs import LocalJobs
from ferryml.backends.local.ledger import LocalLedger
from ferryml.backends.local.serving import LocalServing
from ferryml.backends.local.serving_captures import CaptureFile
from ferryml.backends.local.shells import LocalShells
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.gateway import GatewayProgram
from ferryml.bootstrap.inventory import heartbeat, version
from ferryml.bootstrap.ports import last_port
from ferryml.bootstrap.script_records import ScriptRecords
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.lifecycle import Rules
from ferryml.domain.link import Enrol, Enrolled
from ferryml.router.app import Router
from ferryml.router.haproxy.records import Spool
from ferryml.router.shipping import Shipper
from ferryml.router.threaded import RouterThread
from ferryml.sdk.wire import Route, Wire, open_client
from ferryml.settings import RouterSettings, SiteSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A site that the server knows: what enrolment said, and the two credentials."""

    enrolled: Enrolled
    agent: Wire
    gateway: Wire


class Site:
    """Everything of one site. `start` returns at once; `stop` leaves jobs and deployments running for a later life."""

    def __init__(self, settings: SiteSettings, router: RouterSettings, member: Member, dice: SystemDice) -> None:
        self.settings, self._member = settings, member
        state = settings.state_dir.resolve()
        self._captures = CaptureFile(state / "captures.db", dice.now)
        self.gateway = GatewayProgram(settings, member.enrolled, member.gateway, dice)
        spool = Spool(state / "collected", dice.id(10), dice.now, router.collect_bytes)
        self._records = Shipper(spool, self.gateway.collected.take, router.collect_ship_s)
        self.router = RouterThread(
            lambda: Router(
                router, random.SystemRandom().random, lambda: secrets.token_hex(8), self._captures.put,
                self._records.offer,
            )
        )  # fmt: skip
        self._router_settings = router
        self._environments = LocalEnvironments(state, settings)
        self._jobs = LocalJobs(state, self._environments, settings)
        self._scripts = ScriptRecords(state, self.gateway.collected.take, router.collect_ship_s, dice)
        self._serving = LocalServing(state / "serving", self.gateway.store.path, self._environments, self._scripts)
        self._ledger = LocalLedger(state / "site.db")
        hands = EndpointHands(self._serving, self._environments, self.gateway.door, self.router, self._captures)
        self._endpoints = EndpointAgent(hands, EndpointRules(settings.drain_s, settings.cancel_grace_s))
        link, unreads = HttpLink(member.agent), Unreads()
        operator = Operator(
            self._ledger,
            JobOperator(self._jobs, self.gateway.door, _job_rules(settings), self.gateway.no_room),
            Hooks(self._endpoints, lambda said: log.info("settings from the server: %s", sorted(said)), unreads),
            dice.now,
            settings.report_interval_s,
        )
        self.loops = Loops(
            link,
            Sync(link, self._ledger, dice.now, unreads),
            operator,
            lambda: unreads.tells(heartbeat(self.settings, self.router.url, dice.now())),
            lambda answer: None,
            Pace(retry_min_s=settings.retry_min_s, retry_max_s=settings.retry_max_s),
            random.SystemRandom().random,
        )

        self._connections = (
            ConnectionLoop(link, LocalShells(self._jobs.state), job_order(self._ledger)) if settings.connect else None
        )

    def start(self) -> None:
        """Listens and begins to work. Raises Refused when a port is taken or keys would travel in the clear."""
        state, settings = self.settings.state_dir, self.settings
        self.gateway.start()
        scheme = "https" if self._router_settings.tls_cert else "http"
        port = last_port(state / "router.port", settings.router_host, settings.router_port)
        try:
            self.router.start(settings.router_host, port, scheme)
        except OSError as error:
            words = f"the router cannot listen on {settings.router_host}:{port}: {error.strerror}"
            raise Refused("BadValue", words) from error
        (state / "router.port").write_text(self.router.url.rpartition(":")[2])
        self._records.start()
        self._scripts.start()
        self.loops.start()
        if self._connections is not None:
            self._connections.start()

    def stop(self, stop_work: bool = False) -> None:
        """Orderly end of this process; with `stop_work` its jobs and deployments end, too."""
        if self._connections is not None:
            self._connections.stop()
        self.loops.stop()
        if stop_work:
            self._end_jobs()
        self._endpoints.close()
        self._serving.close(end=stop_work)
        self.router.stop(self.settings.drain_s if stop_work else 1)
        self._records.stop()
        self._scripts.stop()
        self.gateway.stop()
        self._captures.close()
        self._ledger.close()
        self._member.agent.close()
        self._member.gateway.close()

    def _end_jobs(self) -> None:
        grace = self.settings.cancel_grace_s
        until = time.monotonic() + grace + 5
        while time.monotonic() < until:
            live = [key for key in self._jobs.list() if self._jobs.observe(*key).live]
            if not live:
                return
            for uid, attempt in live:
                self._jobs.kill(uid, attempt, grace)
            time.sleep(0.1)


def build(
    settings: SiteSettings,
    router: RouterSettings | None = None,
    join_token: str = "",
    dice: SystemDice | None = None,
) -> Site:
    """The site, enrolled if it was not yet (one attempt).

    Raises Refused(JoinTokenUsed, MissingField), Unavailable(ServerUnreachable, ...), Refused(NotSupported).
    """
    if settings.backend != "local":
        raise Refused("NotSupported", "this program runs local sites; the Kubernetes backend has its own")
    dice = dice or SystemDice()
    return Site(settings, router or RouterSettings(), join(settings, join_token, dice), dice)


def join(settings: SiteSettings, join_token: str, dice: SystemDice | None = None) -> Member:
    """Reads or makes the site's membership below its state folder."""
    state, dice = settings.state_dir, dice or SystemDice()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    route = Route(
        settings.server_url, settings.proxy, settings.no_proxy, settings.ca_bundle, settings.connect_timeout_s
    )
    agent_key, gateway_key = load_or_make(state / "agent.key"), load_or_make(state / "gateway.key")
    kept = state / "enrolled.json"
    if kept.exists():
        enrolled = Enrolled.model_validate_json(kept.read_text())
    else:
        if not join_token:
            raise Refused(
                "MissingField",
                f"{state} belongs to no server yet, and no join token was given",
                "Make one with `ferry site create NAME` and pass it with --token.",
            )
        request = Enrol(
            join_token=join_token,
            agent_key=public_text(agent_key),
            gateway_key=public_text(gateway_key),
            version=version(),
            backend="local",
        )
        stranger = Wire(open_client(route), route)
        try:
            enrolled = enrol(stranger, request)
        finally:
            stranger.close()
        _write(kept, enrolled.model_dump_json())
    clock = Clock(dice.now)
    site, server = enrolled.site, enrolled.server_id
    agent = KeySigner(agent_key, f"{site}/agent", server, clock, lambda: dice.id(16))
    gateway = KeySigner(gateway_key, f"{site}/gateway", server, clock, lambda: dice.id(16))
    return Member(enrolled, Wire(open_client(route), route, agent), Wire(open_client(route), route, gateway))


def run(
    settings: SiteSettings,
    router: RouterSettings | None = None,
    join_token: str = "",
    stop_work: bool = False,
    ready: Callable[[Site], None] = lambda site: None,
) -> None:
    """`ferry agent run`: until SIGTERM or SIGINT. Waits for a server that does not answer yet.

    Raises Refused(AlreadyRunning) when another process works on the same state folder.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with alone(settings.state_dir):
        site = _patiently(settings, router, join_token, over)
        if site is None:
            return
        try:
            site.start()
            ready(site)
            over.wait()
        finally:
            site.stop(stop_work)


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Raises Refused(AlreadyRunning) when another process works on the same state folder."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(state / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused("AlreadyRunning", f"a site already runs on {state}") from error
        yield


def _patiently(
    settings: SiteSettings, router: RouterSettings | None, join_token: str, over: threading.Event
) -> Site | None:
    backoff = Backoff(settings.retry_min_s, settings.retry_max_s, random.SystemRandom().random)
    while not over.is_set():
        try:
            return build(settings, router, join_token)
        except Unavailable as error:
            log.warning("not joined yet: %s: %s", error.code, error.message)
            over.wait(backoff.failed())
    return None


def _job_rules(settings: SiteSettings) -> JobRules:
    return JobRules(
        lifecycle=Rules(upload_grace_s=settings.upload_grace_s, logs_stay=settings.log_upload == "none"),
        max_parallel=settings.max_parallel_jobs or os.cpu_count() or 1,
        cancel_grace_s=settings.cancel_grace_s,
        keep_finished_s=settings.keep_finished_s,
    )


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    os.chmod(draft, 0o600)
    draft.replace(path)
