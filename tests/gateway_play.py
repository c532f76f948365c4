"""A whole gateway over a stand-in server, without its HTTP: the parts that decide, with real disks and real calls."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path
from typing import Any

from ferryml.gateway.database import Database
from ferryml.gateway.door import Door
from ferryml.gateway.forwarder import Forwarder
from ferryml.gateway.grants import Grants
from ferryml.gateway.journal import Caller, Journal
from ferryml.gateway.mlflow import MlflowDoor
from ferryml.gateway.runs import Runs
from ferryml.gateway.store import SiteStore
from ferryml.gateway.uplink import Uplink
from ferryml.sdk.wire import Route, Wire, open_client
from server_play import PlayServer


class PlayPlace:
    """The forwarder is turned by hand: `step` once, `drain` until nothing is left."""

    def __init__(self, folder: Path, server: PlayServer, signer: Any = None, patience_s: float = 0.3) -> None:
        self.server = server
        enrolled = server.enrolled()
        self.db = Database(folder / "gateway.db")
        ids = itertools.count()
        self.store = SiteStore(folder / "store", 0, lambda: f"id{next(ids)}")
        route = Route(server.url, connect_timeout_s=2)
        self.wire = Wire(open_client(route), route, signer)
        self.uplink = Uplink(self.wire)
        self.journal, self.runs = Journal(self.db, 1 << 20), Runs(self.db)
        self.forwarder = Forwarder(self.db, self.journal, self.store, self.uplink, self._created, (0.01, 0.05))
        self.mlflow = MlflowDoor(self.db, self.journal, self.runs, self.store, self.uplink, self.forwarder, patience_s)
        self.mlflow.new_run_id = lambda: f"{next(ids):032x}"
        grants = Grants(enrolled.server_key, enrolled.server_id, enrolled.site)
        self.door = Door(grants, self.db, self.journal, self.runs, self.store, self.uplink, lambda: uuid.uuid4().hex)

    def admit(self, uid: str = "job.w.j", attempt: int = 1, **grant: Any) -> Caller:
        return self.door.who(self.door.admit(uid, attempt, self.server.grant(uid, **grant)))

    def drain(self) -> None:
        for _ in range(50):
            if not self.journal.streams_waiting():
                return
            self.forwarder.step()
        raise AssertionError("the journal does not drain")

    def close(self) -> None:
        self.forwarder.stop()
        self.door.close()
        self.db.close()
        self.wire.close()

    def _created(self, uid: str, call: Any, result: Any) -> None:
        self.mlflow.created(uid, call, result)
