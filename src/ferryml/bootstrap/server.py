"""Puts the server together: hands, use cases, routes, loops; the only place that knows all of them."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from ferryml.bootstrap import state
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.ending import bound, leave
from ferryml.bootstrap.keys import FileKeys, write_secret
from ferryml.bootstrap.loops import Loop, Loops
from ferryml.control import endpoint_reports, feedback, job_reports, tokens, workspaces
from ferryml.control.context import SYSTEM, Deps
from ferryml.control.loops import (
    automations,
    dispatch,
    endpoints,
    expiry,
    models,
    offline,
    rollouts,
    settle,
    spread,
    token_keys,
    webhooks,
)
from ferryml.control.report_hooks import Hook
from ferryml.domain.access import EVERYWHERE
from ferryml.domain.errors import Refused, Unauthenticated, Unavailable
from ferryml.server.app import make_app
from ferryml.server.mlflow.app import Limits, MlflowApp
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.runs import MlflowTracking
from ferryml.server.mlflow.tree import StoreTree
from ferryml.server.mlflow_door import authoriser
from ferryml.server.outbound import from_settings
from ferryml.settings.server import ServerSettings
from ferryml.store.database import open_store

log = logging.getLogger(__name__)
DEFAULT_WORKSPACE = "default"
START_S = 30.0

HOOKS: dict[str, Hook] = {
    "Job": job_reports.hook, "Endpoint": endpoint_reports.hook, "Feedback": feedback.hook,
    "Gone": endpoint_reports.gone,
}  # fmt: skip
"""Kind of report -> what takes it up."""

LOOPS: tuple[Loop, ...] = (
    Loop("dispatch", dispatch.tick),
    Loop("settle", partial(settle.tick, hooks=HOOKS)),
    Loop("offline", offline.tick, every_s=2.0),
    Loop("endpoints", endpoints.tick, every_s=2.0),
    Loop("rollouts", rollouts.tick),
    Loop("spread", spread.tick, rest_s=0.2),
    Loop("token-keys", token_keys.tick, every_s=30.0),
    Loop("automations", automations.tick),
    Loop("webhooks", webhooks.tick, every_s=1.0),
    Loop("models", models.tick, rest_s=0.5),
    Loop("expiry", expiry.tick, every_s=600.0),
)


class ServerProgram:
    """The server, bound to its address and ready to run.

    `start` and `stop` for those who have something else to do meanwhile (`ferry up`, tests); `run` for a program
    of its own, which ends on SIGINT and SIGTERM.
    """

    def __init__(self, settings: ServerSettings, listener: socket.socket, deps: Deps, mlflow: ASGIApp) -> None:
        self.settings, self.deps = settings, deps
        self.app = make_app(deps, {"/mlflow": mlflow})
        self.loops = Loops(deps, LOOPS, holder=f"{socket.gethostname()}-{os.getpid()}-{deps.dice.id(6)}")
        self._listener = listener
        self._server = _Server(_config(self.app, settings), deps)
        self._thread = threading.Thread(target=self._serve, name="ferry-server", daemon=True)

    @property
    def url(self) -> str:
        """Where people and sites reach it."""
        return workspaces.public_url(self.deps)

    def run(self) -> NoReturn:
        """Serve until a signal comes; then end what is under way, and the process with it."""
        self.loops.start()
        code = 0
        try:
            self._server.run(sockets=[self._listener])
        except SystemExit as told:  # uvicorn raises the signal again, which the command made a good end
            code = told.code if isinstance(told.code, int) else 1
        finally:
            self._end()
        leave(code)

    def start(self) -> None:
        """Serve in a thread; returns once requests are answered."""
        self.loops.start()
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise Unavailable("Unavailable", "the server did not start", "See its log.")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the threads of `start`."""
        self.deps.stopping.set()
        self._server.should_exit = True
        self._thread.join(10)
        self._end()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def _end(self) -> None:
        self.deps.stopping.set()
        self.loops.join(10)
        self._listener.close()
        close = getattr(self.deps.store, "close", None)
        if close is not None:
            close()


def build(settings: ServerSettings) -> ServerProgram:
    """Migrate, make what is missing (keys, default workspace, admin token), bind. Raises Refused, Unavailable."""
    check_exposure(settings)
    listener = _bind(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    try:
        deps, host = make_deps(settings)
        app = MlflowApp(host, authoriser(deps), Limits(settings.max_body_bytes, settings.max_upload_bytes))
        workspaces.ensure(deps, SYSTEM, DEFAULT_WORKSPACE)
        ensure_admin_token(deps)
        return ServerProgram(settings, listener, deps, app)
    except BaseException:
        listener.close()
        raise


def make_deps(settings: ServerSettings) -> tuple[Deps, MlflowHost]:
    """The hands of a server."""
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys, dice = FileKeys(state.key_file(settings)), SystemDice()
    store, blobs = open_store(state.database_url(settings)), state.blobs(settings)
    host = MlflowHost(state.mlflow_url(settings), StoreTree(store, blobs))
    tracking = MlflowTracking(host, dice.now, settings.max_body_bytes, settings.max_upload_bytes)
    return Deps(store, blobs, tracking, keys, dice, settings, from_settings(settings)), host


def ensure_admin_token(deps: Deps) -> str:
    """The token of this machine's owner, made anew when the file's is no good; mode 0600."""
    file = state.admin_token_file(deps.settings)
    if file.exists():
        kept = file.read_text().strip()
        try:
            tokens.verify(deps, kept)
            return kept
        except Unauthenticated:
            file.unlink()
    made = str(tokens.create(deps, SYSTEM, EVERYWHERE, "admin", "owner", deps.settings.max_token_ttl_s)["token"])
    write_secret(file, made)
    return file.read_text().strip()


def check_exposure(settings: ServerSettings) -> None:
    """Refuse plain HTTP off loopback: tokens would travel in the clear."""
    if settings.tls_cert is None and not settings.allow_insecure and not _loopback(settings.host):
        raise Refused(
            "BadValue",
            f"listening on {settings.host} without TLS would send tokens in the clear",
            "Give tls_cert and tls_key, or allow_insecure when a TLS proxy stands in front.",
        )


class _Server(uvicorn.Server):
    """Tells those who wait that the server ends, so that long polls do not hold it up; then its time is short."""

    def __init__(self, config: uvicorn.Config, deps: Deps) -> None:
        super().__init__(config)
        self._deps = deps

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._deps.stopping.is_set():
            bound(self._deps.settings.stop_limit_s)
        self._deps.stopping.set()
        super().handle_exit(sig, frame)


def _config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=5, timeout_keep_alive=75,
        server_header=False, h11_max_incomplete_event_size=256 * 1024,
    )  # fmt: skip
    if settings.tls_cert and settings.tls_key:
        config.ssl_certfile, config.ssl_keyfile = str(settings.tls_cert), str(settings.tls_key)
    return config


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets made with IPPROTO_TCP; without it answers wait 40 ms for delayed acknowledgements.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Refused(
            "AlreadyRunning", f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            "Another program listens there, perhaps Ferry itself; choose another port.",
        ) from error  # fmt: skip
    listener.set_inheritable(True)
    return listener


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
