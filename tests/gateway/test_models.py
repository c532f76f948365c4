"""Models on datastores: brought once, fixed by digest, for those alone whose grant names them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_gateway_play import PlayClusterGateway
from ferryml.compile.tree import parse_tree
from ferryml.domain.errors import Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.link import Grant
from ferryml.domain.orders import DatastorePath, TreeRef
from ferryml.gateway.objects import Entry
from ferryml.gateway.placed import Placed
from gateway_play import PlayPlace

UID, KEY = "endpoint.w.e", "model:m:1"


class Models:
    def __init__(self, gateway: PlayPlace, root: Path) -> None:
        self.place, self.root = gateway, root
        root.mkdir()
        self.found = gateway.door.models
        self.at = DatastorePath(datastore="shelf", kind="local", root=str(root), path="models/digits")
        self.write("weights", b"12")
        self.write("sub/more", b"3")

    def write(self, name: str, data: bytes) -> None:
        file = self.root / "models/digits" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def grant(self, uid: str = UID, key: str = KEY) -> str:
        asked = {"kind": "Endpoint", "name": "e", "writes": ("captures",), "models": {key: self.at.model_dump()}}
        return self.place.server.grant(uid, **asked)

    def model(self, uid: str = UID, key: str = KEY) -> TreeRef:
        grant = self.grant(uid, key)
        self.place.door.renew(uid, grant)
        return self.place.door.model(key, grant)

    def files(self, ref: TreeRef) -> dict[str, bytes]:
        tree = parse_tree(self.place.store.read(ref.digest, 1 << 20))
        return {entry.path: self.place.store.read(entry.digest, 1 << 20) for entry in tree.entries}


@pytest.fixture
def models(gateway: PlayPlace, tmp_path: Path) -> Models:
    return Models(gateway, tmp_path / "root")


def test_a_folder_keeps_its_name_and_its_digest(models: Models) -> None:
    ref = models.model()
    assert (ref.kind, ref.name, ref.size) == ("tree", "digits", 3)
    assert models.files(ref) == {"sub/more": b"3", "weights": b"12"}
    models.write("weights", b"changed")
    assert models.model() == ref
    assert models.model("endpoint.w.other") == ref
    assert models.model(key="model:m:2") != ref


def test_a_single_file_lies_by_itself(models: Models) -> None:
    models.at = models.at.model_copy(update={"path": "models/digits/weights"})
    ref = models.model()
    assert (ref.kind, ref.name, ref.size) == ("file", "weights", 2)
    assert models.place.store.read(ref.digest, 10) == b"12"


def test_nobody_else_reads_it(models: Models) -> None:
    ref = models.model()
    (file, *_) = [entry.digest for entry in parse_tree(models.place.store.read(ref.digest, 1 << 20)).entries]
    mine = models.grant()
    assert models.place.door.fetch(ref.digest, mine).exists()
    assert models.place.door.fetch(file, mine).exists()
    other = models.place.server.grant("endpoint.w.other", kind="Endpoint", name="other")
    with pytest.raises(Forbidden):
        models.place.door.fetch(file, other)
    with pytest.raises(Forbidden):
        models.place.door.model(KEY, other)


def test_what_was_trimmed_is_fetched_anew_and_must_be_the_same(models: Models) -> None:
    ref = models.model()
    models.place.door.trim(1)
    assert models.files(ref)["weights"] == b"12"
    models.place.db.run("DELETE FROM models")
    models.place.door.trim(1)
    assert not models.place.store.has(ref.digest)
    assert models.model() == ref
    models.place.db.run("DELETE FROM models")
    models.place.door.trim(1)
    models.write("weights", b"changed")
    with pytest.raises(Refused, match="not what model:m:1 was first served with") as caught:
        models.model()
    assert caught.value.code == "DigestMismatch"


def test_what_is_not_there_is_said_and_looked_for_again(models: Models) -> None:
    models.at = models.at.model_copy(update={"path": "none"})
    with pytest.raises(NotFound):
        models.model()
    (models.root / "none").write_bytes(b"1")
    assert models.model().kind == "file"


def test_a_long_fetch_is_waited_for_elsewhere(models: Models) -> None:
    class Slow(Placed):
        asked, gate = 0, threading.Event()

        def entries(self, place: DatastorePath, workspace: str) -> list[Entry]:
            return [Entry("", 2)]

        def read(self, place: DatastorePath, workspace: str, path: str) -> Iterator[bytes]:
            self.asked += 1
            yield b"1"
            self.gate.wait(5)
            yield b"2"

    slow = models.found.placed = Slow()
    grant = Grant.model_validate(models.place.door._grants.verify(models.grant()).model_dump())
    for _ in range(2):
        with pytest.raises(Unavailable, match="datastore shelf"):
            models.found.find(grant, KEY, 0.01)
    slow.gate.set()
    assert models.found.find(grant, KEY, 5).size == 2
    assert slow.asked == 1


def test_the_agent_asks_for_it_over_the_wire(pods_gateway: PlayClusterGateway, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"1")
    place = DatastorePath(datastore="shelf", kind="local", root=str(tmp_path), path="m")
    pods_gateway.gateway._parts.door.models.placed = Placed()
    grant = pods_gateway.server.grant(UID, kind="Endpoint", name="e", models={KEY: place.model_dump()})
    said = pods_gateway.agent.post("/admin/v1/model", json={"key": KEY, "grant": grant})
    assert TreeRef.model_validate(said.json()).name == "m"
    assert pods_gateway.agent.post("/admin/v1/model", json={"key": "model:n:1", "grant": grant}).status_code == 403
    assert pods_gateway.pod().post("/admin/v1/model", json={"key": KEY, "grant": grant}).status_code == 401
