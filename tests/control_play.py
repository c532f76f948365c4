"""A server without HTTP: real store, blobs and keys, a clock that moves when told, and sites that speak as told."""

from __future__ import annotations

import base64
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ferryml.bootstrap.keys import FileKeys
from ferryml.bootstrap.server import HOOKS
from ferryml.compile.tree import bytes_digest, tree_bytes
from ferryml.control import artifacts, assets, computes, datastores, jobs, journal, link, sites, workspaces
from ferryml.control.context import SYSTEM, Caller, Deps
from ferryml.control.loops import dispatch, settle
from ferryml.domain.link import Enrol, Heartbeat, Journal, JournalAnswer, JournalEntry, LogChunk, Report, Wishes
from ferryml.domain.orders import Tree, TreeEntry, TreeRef
from ferryml.domain.statuses import JobStatus, OutputResult
from ferryml.settings.server import ServerSettings
from ferryml.store.blobs import open_blobs
from ferryml.store.database import open_store
from ferryml.testing.posts import MemoryPosts
from ferryml.testing.tracking import MemoryTracking

T0 = datetime(2024, 5, 1, tzinfo=UTC)
OWNER = Caller("ann", "owner", "*", "tok1")
WORKSPACE = "team"


class PlayDice:
    """Chance that repeats itself, and time that passes only when told."""

    def __init__(self) -> None:
        self.at, self._count = T0, itertools.count(1)

    def id(self, length: int = 10) -> str:
        return f"{next(self._count):0{length}d}"[-length:]

    def secret(self) -> str:
        return f"secret-{next(self._count):036d}"

    def now(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Play:
    """The use cases over one workspace `team`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.dice, self.tracking, self.posts = PlayDice(), MemoryTracking(), MemoryPosts()
        self.settings = ServerSettings(state_dir=folder, **settings)
        self.store = open_store(self.settings.database_url or f"sqlite:///{folder}/ferry.db", self.dice.now)
        keys = FileKeys(folder / "keys" / "server.json")
        self.deps = Deps(
            self.store, open_blobs(str(folder / "artifacts")), self.tracking, keys, self.dice, self.settings, self.posts
        )
        workspaces.create(self.deps, SYSTEM, {"name": WORKSPACE})

    def close(self) -> None:
        self.store.close()

    # what people do
    def site(self, name: str = "cloud", zone: str = "", compute: str = "c1", consent: bool = False) -> str:
        """A site that has joined, with a compute on it."""
        made = sites.create(self.deps, OWNER, name, zone)
        sites.enrol(self.deps, enrolment(made["join_token"]))
        self.beat(name, accept_zone_bound=consent)
        computes.attach(self.deps, OWNER, WORKSPACE, {"type": "local", "name": compute, "site": name})
        return name

    def beat(self, site: str, **inventory: Any) -> None:
        sites.heartbeat(self.deps, site, Heartbeat(version="1", inventory=inventory, at=self.dice.now()))

    def upload(self, data: bytes, workspace: str = WORKSPACE) -> str:
        digest = bytes_digest(data)
        artifacts.put(self.deps, OWNER, workspace, digest, data)
        return digest

    def folder(self, files: dict[str, bytes], workspace: str = WORKSPACE) -> TreeRef:
        """An uploaded folder."""
        tree = tree_of(files)
        for data in files.values():
            self.upload(data, workspace)
        return TreeRef(digest=self.upload(tree_bytes(tree), workspace), size=sum(map(len, files.values())))

    def job(self, caller: Caller = OWNER, **changes: Any) -> dict[str, Any]:
        document = {"command": "true", "environment": {"pip_requirements": ["numpy"]}, "compute": "c1", **changes}
        return jobs.create(self.deps, caller, WORKSPACE, document)

    def shown(self, name: str) -> dict[str, Any]:
        return jobs.show(self.deps, OWNER, WORKSPACE, name)

    # what sites do
    def wishes(self, site: str, after: int = 0) -> Wishes:
        return link.wishes(self.deps, site, after, "", 0)

    def reports(self, site: str, name: str, phase: str, version: int = 1, attempt: int = 1, **status: Any) -> Any:
        told = Report(
            uid=f"job.{WORKSPACE}.{name}", generation=1, attempt=attempt, version=version,
            status=JobStatus(phase=phase, **status), at=self.dice.now(),
        )  # fmt: skip
        return link.reports(self.deps, site, "", [told])

    def grant(self, site: str, name: str) -> str:
        return next(w.grant for w in self.wishes(site).wishes if w.uid == f"job.{WORKSPACE}.{name}")

    def entries(self, site: str, name: str, *items: Any, attempt: int = 1, first: int = 1) -> JournalAnswer:
        grant, uid = self.grant(site, name), f"job.{WORKSPACE}.{name}"
        made = [
            JournalEntry(uid=uid, attempt=attempt, seq=first + n, grant=grant, item=item)
            for n, item in enumerate(items)
        ]
        return journal.take(self.deps, site, Journal(entries=tuple(made)))

    # what loops do
    def turns(self) -> None:
        """Dispatch and settle all there is."""
        while dispatch.tick(self.deps) + settle.tick(self.deps, HOOKS):
            pass

    def running(self, **changes: Any) -> str:
        """A job that its site has taken up."""
        name = str(self.job(**changes)["name"])
        self.turns()
        self.reports("cloud", name, "Running")
        self.turns()
        return name


def bound_job(play: Play, release: dict[str, str] | None = None, **outputs: Any) -> str:
    """A job that its site has, on data bound to the zone onprem."""
    play.site("onprem", "onprem", "c1", consent=True)
    place = {"name": "local", "type": "local", "root": "/data", "site": "onprem"}
    datastores.create(play.deps, OWNER, WORKSPACE, place)
    data: dict[str, Any] = {"name": "digits", "path": "azureml://datastores/local/paths/digits"}
    assets.create(play.deps, OWNER, WORKSPACE, "data", {**data, **({"release": release} if release else {})})
    name = str(play.job(inputs={"d": {"path": "azureml:digits:1"}}, outputs=outputs)["name"])
    play.turns()
    return name


def enrolment(token: str, seed: bytes = b"k" * 32) -> Enrol:
    key = base64.b64encode(seed).decode()
    return Enrol(join_token=token, agent_key=key, gateway_key=key, version="1")


def tree_of(files: dict[str, bytes]) -> Tree:
    entries = [TreeEntry(path=path, digest=bytes_digest(data), size=len(data)) for path, data in files.items()]
    return Tree(entries=tuple(entries))


def said(text: str, offset: int = 0, path: str = "user_logs/std_log.txt") -> LogChunk:
    return LogChunk(path=path, offset=offset, data=base64.b64encode(text.encode()).decode())


def done(**trees: TreeRef) -> dict[str, OutputResult]:
    return {name: OutputResult(tree=tree) for name, tree in trees.items()}
