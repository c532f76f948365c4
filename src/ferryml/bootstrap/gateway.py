"""The gateway plugged together and listening."""

from __future__ import annotations

import secrets
import threading
import time

import uvicorn

from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.ports import listen
from ferryml.bootstrap.whole_answers import WholeAnswers
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Enrolled, MlflowCall
from ferryml.domain.orders import Json
from ferryml.gateway.app import Routes
from ferryml.gateway.app import build as build_app
from ferryml.gateway.collected import Collected
from ferryml.gateway.database import Database
from ferryml.gateway.door import Door
from ferryml.gateway.forwarder import Forwarder
from ferryml.gateway.grants import Grants
from ferryml.gateway.journal import Journal
from ferryml.gateway.mlflow import MlflowDoor
from ferryml.gateway.runs import Runs
from ferryml.gateway.store import SiteStore
from ferryml.gateway.uplink import Uplink
from ferryml.sdk.wire import Wire
from ferryml.settings import SiteSettings

START_LIMIT_S = 10.0
TRIM_EVERY_S = 60.0


class GatewayParts:
    """Everything of a gateway but its HTTP: store, journal, door, and what passes things on."""

    def __init__(self, settings: SiteSettings, enrolled: Enrolled, wire: Wire, dice: SystemDice) -> None:
        self._settings, state = settings, settings.state_dir.resolve()
        self.db = Database(state / "gateway.db")
        self.store = SiteStore(state / "store", settings.min_free_disk_bytes, lambda: dice.id(16))
        grants = Grants(enrolled.server_key, enrolled.server_id, enrolled.site)
        uplink, runs = Uplink(wire), Runs(self.db)
        self.journal = Journal(self.db, settings.max_log_bytes)
        retry = (settings.retry_min_s, settings.retry_max_s)
        self.forwarder = Forwarder(self.db, self.journal, self.store, uplink, self._created, retry)
        self._mlflow = MlflowDoor(self.db, self.journal, runs, self.store, uplink, self.forwarder)
        self._mlflow.new_run_id = lambda: secrets.token_hex(16)
        self.door = Door(grants, self.db, self.journal, runs, self.store, uplink, dice.secret)
        self.door.logs_stay = settings.log_upload == "none"
        self.collected = Collected(self.db, self.store, self.journal, grants, dice.now, settings.collect_publish_s)
        self.forwarder.chores = self._chores
        self._trimmed = time.monotonic()
        self.routes = Routes(self.door, self._mlflow, self.store, settings.max_body_bytes)

    def close(self) -> None:
        self.forwarder.stop()
        self.door.close()
        self.db.close()

    def _created(self, uid: str, call: MlflowCall, result: Json) -> None:
        self._mlflow.created(uid, call, result)

    def _chores(self) -> None:
        self._mlflow.fetch_bases()
        self.collected.look()
        if time.monotonic() - self._trimmed > TRIM_EVERY_S:
            self._trimmed = time.monotonic()
            if self._settings.kept_logs_max_bytes:
                self.journal.trim_kept_logs(self._settings.kept_logs_max_bytes)
            if self._settings.store_max_bytes:
                self.door.trim(self._settings.store_max_bytes)


class GatewayProgram:
    """`door` is for the agent, the HTTP routes are for jobs and deployments."""

    def __init__(self, settings: SiteSettings, enrolled: Enrolled, wire: Wire, dice: SystemDice) -> None:
        self._settings = settings
        self._parts = GatewayParts(settings, enrolled, wire, dice)
        self.store, self.door, self.forwarder = self._parts.store, self._parts.door, self._parts.forwarder
        self.collected = self._parts.collected
        app = build_app(self._parts.routes, dice.id)
        config = uvicorn.Config(app, http=WholeAnswers, log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="ferry-gateway", daemon=True)

    def start(self) -> None:
        """Listens. Raises Refused when the port is taken."""
        settings = self._settings
        self._socket = listen(settings.state_dir / "gateway.port", settings.gateway_host, settings.gateway_port)
        self.door.url = f"http://{settings.gateway_host}:{self._socket.getsockname()[1]}"
        self._thread.start()
        until = time.monotonic() + START_LIMIT_S
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)
        self.forwarder.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._parts.close()

    def no_room(self) -> str:
        """Why nothing new can start here for want of disk; empty when there is enough."""
        try:
            self.store.check_room()
        except Unavailable as error:
            return error.message
        return ""

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
