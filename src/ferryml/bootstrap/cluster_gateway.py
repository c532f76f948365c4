"""The gateway of a site that is a cluster: `ferry gateway run` in a pod, or on a desk with a kubeconfig."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ferryml.agent.keys import Clock, KeySigner
from ferryml.backends.kubernetes.access import find_access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.backends.kubernetes.kube import Kube, labels_of
from ferryml.backends.local.serving_captures import CaptureFile
from ferryml.bootstrap.certificates import Certified
from ferryml.bootstrap.cluster_member import SITE, secret_text
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.gateway import GatewayParts
from ferryml.bootstrap.gateway_identity import GatewayIdentity
from ferryml.bootstrap.ports import listen
from ferryml.compile.kubernetes.labels import WORKSPACE
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.link import Enrolled
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.admin import AdminRoutes
from ferryml.gateway.app import build as build_app
from ferryml.gateway.captures import CaptureRoutes
from ferryml.gateway.collected import CollectedRoutes
from ferryml.gateway.environments import Environments
from ferryml.gateway.links import Links
from ferryml.gateway.objects import Shelf
from ferryml.gateway.package_routes import FILES, PackageRoutes
from ferryml.gateway.packages import Packages
from ferryml.gateway.placed import Placed
from ferryml.gateway.places import Places
from ferryml.gateway.pod_routes import PodRoutes
from ferryml.gateway.pods import Identity, Pods
from ferryml.gateway.pulse import Pulse, States
from ferryml.gateway.sources import Sources
from ferryml.gateway.upstream import Upstream
from ferryml.sdk.wire import Route, Wire, open_client
from ferryml.settings import ClusterSettings, SiteSettings

log = logging.getLogger(__name__)

START_LIMIT_S = 10.0
LOOK_S = 30.0
"""How often ConfigMap and certificate are looked at again."""
RETRY_S = 2.0
ADMIN, ROUTER = "ferry-agent", "ferry-router"
_POD_NAME = "authentication.kubernetes.io/pod-name"


class KubeReviewer:
    """`gateway.pods.Reviewer`: the API server itself."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def review(self, token: str, audience: str) -> Identity | None:
        found = self._kube.review_token(token, audience)
        if found is None:
            return None
        parts = found.username.split(":")
        namespace = parts[2] if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 else ""
        return Identity(found.username, namespace, next(iter(found.extra.get(_POD_NAME, ())), ""))


class Switch:
    """Listens from the beginning, so that probes are answered; the real application comes when the site has joined."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
            return
        error = Unavailable("Unavailable", "the gateway waits for its site to join", "The agent joins it.")
        answer: Response = JSONResponse({"error": error.as_dict(), "request_id": ""}, error.status)
        if scope["type"] == "http" and scope["path"] == "/healthz":
            answer = JSONResponse({"status": "waiting"})
        await answer(scope, receive, send)


class ClusterGateway:
    """Listens at once; serves once the site has joined."""

    def __init__(self, settings: SiteSettings, knobs: ClusterSettings, kube: Kube, dice: SystemDice) -> None:
        self._settings = settings.model_copy(update={"state_dir": knobs.state_dir})
        self._knobs, self._kube, self._dice = knobs, kube, dice
        knobs.state_dir.mkdir(parents=True, exist_ok=True)
        self.identity = GatewayIdentity(kube, knobs, dice)
        self._switch = Switch()
        config = uvicorn.Config(
            self._switch, log_config=None, access_log=False, lifespan="off", h11_max_incomplete_event_size=65_536
        )
        config.load()
        self._tls = _tls(self.identity.certified)
        config.ssl = self._tls
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="ferry-gateway", daemon=True)
        self._parts: GatewayParts | None = None
        self._closing: list[Callable[[], None]] = []
        self._pulse = Pulse(int(dice.now().timestamp() * 1000))
        self._enrolled = ""
        self.port = 0

    def start(self) -> None:
        """Raises Refused when the port is taken."""
        memory = self._knobs.state_dir / "gateway.port"
        self._socket = listen(memory, self._knobs.gateway_host, self._knobs.gateway_port)
        self.port = self._socket.getsockname()[1]
        self._thread.start()
        until = time.monotonic() + START_LIMIT_S
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)
        self.identity.publish()

    def join(self) -> bool:
        """Serves if the site has joined; False while it has not. Raises Unavailable."""
        text = self._site()
        if not text:
            return False
        self._serve_site(Enrolled.model_validate_json(text))
        self._enrolled = text
        return True

    def look(self) -> bool:
        """Keeps certificate and word fresh; False when the site joined another server and all must begin anew."""
        if self.identity.renewed():
            _load(self._tls, self.identity.certified)
            log.info("the gateway has a new certificate")
        self.identity.publish()
        return self._site() in ("", self._enrolled)

    def stop(self) -> None:
        self._pulse.close()
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        for close in self._closing:
            close()

    def _site(self) -> str:
        body = self._kube.get(CONFIG_MAPS, self._knobs.system_namespace, SITE) or {}
        return str((body.get("data") or {}).get("enrolled.json") or "")

    def _serve_site(self, enrolled: Enrolled) -> None:
        settings, dice = self._settings, self._dice
        route = Route(
            settings.server_url, settings.proxy, settings.no_proxy, settings.ca_bundle, settings.connect_timeout_s
        )
        subject = f"{enrolled.site}/gateway"
        signer = KeySigner(self.identity.key, subject, enrolled.server_id, Clock(dice.now), lambda: dice.id(16))
        wire = Wire(open_client(route), route, signer)
        parts = self._parts = GatewayParts(settings, enrolled, wire, dice)
        self._closing += [parts.close, wire.close]
        parts.journal.news = self._pulse.tell
        admin = f"system:serviceaccount:{self._knobs.system_namespace}:{ADMIN}"
        router = f"system:serviceaccount:{self._knobs.system_namespace}:{ROUTER}"
        pods = parts.door.pods = Pods(parts.db, KubeReviewer(self._kube), admin, router)
        environments = parts.door.environments = Environments(parts.db, parts.store, self._pulse)
        states = States(parts.db, self._pulse)
        parts.door.url = self.identity.url
        secret = hashlib.sha256(b"ferry pods\0" + self.identity.key.private_bytes_raw()).digest()
        upstream = Upstream(route, (settings.ca_bundle, self._knobs.package_ca))
        shelves = self._shelves(Places(upstream, dice.now))
        sources = Sources(parts.db, parts.store, upstream, shelves)
        parts.collected.placed = parts.door.models.placed = Placed(shelves)
        self._closing += [sources.close, upstream.close]
        kept = CaptureFile(settings.state_dir / "captures.db", dice.now)
        self._closing.append(kept.close)
        more = [
            *CaptureRoutes(pods, kept).table(),
            *CollectedRoutes(pods, parts.collected).table(),
            *AdminRoutes(parts.door, pods, states, self._pulse, environments, sources).table(),
            *PodRoutes(parts.door, states, environments, sources, parts.store, secret).table(),
            *PackageRoutes(parts.door, self._packages(parts, upstream, secret)).table(),
        ]
        parts.forwarder.start()
        self._switch.app = build_app(parts.routes, dice.id, more)
        log.info("the gateway serves site %s", enrolled.site)

    def _shelves(self, places: Places) -> Callable[[DatastorePath, str], Shelf[Any]]:
        return lambda place, workspace: places.shelf(place, self._secret(place, workspace))

    def _secret(self, place: DatastorePath, workspace: str) -> dict[str, str]:
        """Credentials from the Secret that the datastore names; one with a workspace's label is for it alone."""
        name = place.options.get("secret", "")
        if not name:
            return {}
        body = self._kube.get(SECRETS, self._knobs.system_namespace, name)
        owner = labels_of(body or {}).get(WORKSPACE, workspace)
        if body is None or owner != workspace or name.startswith("ferry-"):
            raise Refused(
                "MissingField", f"this site has no Secret {name!r} for datastore {place.datastore!r}",
                f"IT: make it in namespace {self._knobs.system_namespace} and name it in the chart's gateway.secrets.",
            )  # fmt: skip
        return {entry: secret_text(body, entry) for entry in body.get("data") or {}}

    def _packages(self, parts: GatewayParts, upstream: Upstream, secret: bytes) -> Packages:
        knobs, settings = self._knobs, self._settings
        links = Links(hashlib.sha256(b"links" + secret).digest(), FILES)
        return Packages(parts.db, parts.store, upstream, links, settings.package_index, knobs.conda_channel)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def run(
    settings: SiteSettings, knobs: ClusterSettings, ready: Callable[[ClusterGateway], None] = lambda g: None
) -> None:
    """`ferry gateway run`: until SIGTERM or SIGINT, or until the site joins another server."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    kube = HttpKube(find_access())
    gateway: ClusterGateway | None = None
    try:
        while gateway is None and not over.is_set():
            gateway = _patiently(lambda: ClusterGateway(settings, knobs, kube, SystemDice()), over)
        if gateway is not None:
            _live(gateway, over, ready)
    finally:
        if gateway is not None:
            gateway.stop()
        kube.close()


def _live(gateway: ClusterGateway, over: threading.Event, ready: Callable[[ClusterGateway], None]) -> None:
    _patiently(gateway.start, over)
    while not over.is_set() and not _patiently(gateway.join, over):
        over.wait(RETRY_S)
    if not over.is_set():
        ready(gateway)
    while not over.wait(LOOK_S):
        if _patiently(gateway.look, over) is False:
            log.warning("the site joined another server; starting anew")
            return


def _patiently(step: Callable[[], Any], over: threading.Event) -> Any:
    """Tries again while the cluster's API server is away."""
    while not over.is_set():
        try:
            return step()
        except Unavailable as error:
            log.warning("waiting for the cluster: %s: %s", error.code, error.message)
            over.wait(RETRY_S)
    return None


def _tls(known: Certified) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, known)
    return context


def _load(context: ssl.SSLContext, known: Certified) -> None:
    """The ssl module takes certificates from files only; this one lives no longer than the call."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(f"{known.key}\n{known.certificate}\n{known.authority}")
        context.load_cert_chain(path)
