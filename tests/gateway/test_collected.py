"""What routers recorded: durable at once, told in versions, and bound where its endpoint is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cluster_gateway_play import SYSTEM, PlayClusterGateway
from ferryml.compile.tree import parse_tree
from ferryml.domain.collection import Batch
from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.orders import DatastorePath
from ferryml.gateway import collected
from ferryml.gateway.collected import Collected
from ferryml.gateway.grants import Grants
from gateway_play import PlayPlace

UID = "endpoint.w.e"
BATCH = Batch(uid=UID, deployment="blue", collection="request", partition="2026/03/04/05", name="r-1")


class Collecting:
    def __init__(self, gateway: PlayPlace) -> None:
        self.place = gateway
        said = gateway.server.enrolled()
        grants = Grants(said.server_key, said.server_id, said.site)
        self.now = datetime(2026, 3, 4, tzinfo=UTC)
        self.kept = Collected(gateway.db, gateway.store, gateway.journal, grants, lambda: self.now, 0)

    def serve(self, **grant: Any) -> None:
        asked = {"kind": "Endpoint", "name": "e", "writes": ("captures", "logs"), **grant}
        self.place.door.renew(UID, self.place.server.grant(UID, **asked))

    def take(self, data: bytes = b"{}\n", **changes: str) -> None:
        self.kept.take(BATCH.model_copy(update=changes), data)

    def look(self) -> int:
        self.kept._looked = float("-inf")
        return self.kept.look()

    def told(self) -> list[dict[str, Any]]:
        self.place.drain()
        return self.place.server.items("output")

    def files(self, record: dict[str, Any]) -> dict[str, bytes]:
        tree = parse_tree(self.place.store.read(record["tree"]["digest"], 1 << 20))
        return {entry.path: self.place.store.read(entry.digest, 1 << 20) for entry in tree.entries}


@pytest.fixture
def collecting(gateway: PlayPlace) -> Collecting:
    return Collecting(gateway)


def test_batches_become_versions_that_grow(collecting: Collecting) -> None:
    collecting.serve()
    collecting.take(b"1\n")
    collecting.take(b"1\n")
    assert collecting.look() == 1
    assert collecting.look() == 0
    collecting.take(b"2\n", name="r-2", partition="2026/03/04/06")
    collecting.take(b"3\n", collection="response")
    assert collecting.look() == 2
    first, *more = collecting.told()
    assert (first["name"], first.get("bound", False)) == ("blue/request", False)
    assert collecting.files(first) == {"2026/03/04/05/r-1.jsonl": b"1\n"}
    second = next(one for one in more if one["name"] == "blue/request")
    assert collecting.files(second) == {"2026/03/04/05/r-1.jsonl": b"1\n", "2026/03/04/06/r-2.jsonl": b"2\n"}
    assert second["tree"]["digest"] in collecting.place.server.blobs


def test_no_byte_of_what_is_bound_leaves(collecting: Collecting) -> None:
    collecting.serve(zones=("onprem",), release=("models",))
    collecting.take(b"secret\n")
    collecting.look()
    (record,) = collecting.told()
    assert record["bound"]
    assert not any(b"secret" in blob for blob in collecting.place.server.blobs.values())
    assert record["tree"]["digest"] not in collecting.place.server.blobs
    digest = record["tree"]["digest"]
    assert collecting.place.door.trim(1) >= 0
    assert collecting.files(record)["2026/03/04/05/r-1.jsonl"] == b"secret\n"
    assert digest


def test_what_was_not_told_yet_is_not_trimmed(collecting: Collecting) -> None:
    collecting.serve()
    collecting.take(b"keep me\n")
    collecting.place.door.trim(1)
    collecting.look()
    assert collecting.files(collecting.told()[0])["2026/03/04/05/r-1.jsonl"] == b"keep me\n"


@pytest.mark.parametrize("writes", [("logs",), ()])
def test_only_endpoints_of_this_site_record(collecting: Collecting, writes: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        collecting.take()
    collecting.serve(writes=writes)
    with pytest.raises(Forbidden):
        collecting.take()


def test_an_endpoint_that_is_gone_records_no_more(collecting: Collecting) -> None:
    collecting.serve()
    collecting.take()
    collecting.place.door.dismiss(UID)
    with pytest.raises(Forbidden):
        collecting.take()
    assert collecting.look() == 0
    assert collecting.place.db.rows("SELECT * FROM collected") == []


def test_what_is_old_is_in_earlier_versions(collecting: Collecting) -> None:
    collecting.serve()
    collecting.take(b"old\n")
    collecting.look()
    collecting.now = datetime(2026, 4, 5, tzinfo=UTC)
    collecting.take(b"new\n", name="r-2")
    collecting.look()
    assert list(collecting.files(collecting.told()[-1])) == ["2026/03/04/05/r-2.jsonl"]


def test_trouble_with_one_collection_is_no_others(collecting: Collecting, caplog: pytest.LogCaptureFixture) -> None:
    collecting.serve()
    collecting.take()
    collecting.place.db.run("UPDATE streams SET grant_text = 'forged'")
    for _ in range(3):
        assert collecting.look() == 0
    assert len([one for one in caplog.records if "not told yet" in one.message]) == 1


def test_minutes_are_told_by_the_minute(collecting: Collecting, monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.kept._publish_s = 3600
    monkeypatch.setattr(collected, "MINUTE_S", 0)
    collecting.serve()
    collecting.take(b"1\n", partition="2026/03/04/05/06")
    collecting.take(b"2\n", collection="response")
    assert collecting.look() == 1
    assert collecting.told()[0]["name"] == "blue/request"


def test_routers_alone_may_bring_them(pods_gateway: PlayClusterGateway) -> None:
    agent, server = pods_gateway.agent, pods_gateway.server
    grant = server.grant(UID, kind="Endpoint", name="e", writes=("captures",))
    assert agent.post("/admin/v1/renew", json={"uid": UID, "grant": grant}).status_code == 200
    router = pods_gateway._client(pods_gateway.token("ferry-router", SYSTEM, "ferry-gateway", "router-0"))
    at = "/v1/collected"
    assert router.post(at, params=BATCH.model_dump(), content=b"{}\n").status_code == 200
    for params in ({**BATCH.model_dump(), "partition": "../x"}, {"uid": UID}):
        assert router.post(at, params=params, content=b"").status_code == 400
    other = {**BATCH.model_dump(), "uid": "endpoint.w.other"}
    assert router.post(at, params=other, content=b"").status_code == 403
    impostor = pods_gateway._client(pods_gateway.token("ferry-router", "team", "ferry-gateway", "router-0"))
    assert impostor.post(at, params=BATCH.model_dump(), content=b"").status_code == 403
    assert agent.post(at, params=BATCH.model_dump(), content=b"").status_code == 401
    pods_gateway.admit()
    assert pods_gateway.pod().post(at, params=BATCH.model_dump(), content=b"").status_code == 403


def test_pods_of_endpoints_bring_what_their_script_made(pods_gateway: PlayClusterGateway) -> None:
    grant = pods_gateway.server.grant(UID, kind="Endpoint", name="e", writes=("captures",))
    at, pod = "/v1/modeldata", pods_gateway.pod("e-0123456789-r-x")
    own = {**BATCH.model_dump(exclude={"uid"}), "collection": "model_inputs"}
    assert pod.post(at, params=own, content=b"{}\n").status_code == 401
    pods_gateway.admit(uid=UID, grant=grant, prefix="e-0123456789-r-", kind="serving")
    assert pod.post(at, params=own, content=b"{}\n").status_code == 200
    assert pod.post(at, params={**own, "uid": "endpoint.w.other"}, content=b"{}\n").status_code == 200
    rows = pods_gateway.gateway._parts.db.rows("SELECT uid, collection FROM collected")
    assert rows == [(UID, "model_inputs")]
    assert pod.post(at, params={**own, "collection": "../x"}, content=b"").status_code == 400
    pods_gateway.admit()
    assert pods_gateway.pod().post(at, params=own, content=b"{}\n").status_code == 403


def test_names_that_a_program_makes_up_are_bounded(collecting: Collecting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collected, "MOST_COLLECTIONS", 2)
    collecting.serve()
    for name in ("a", "b"):
        collecting.take(collection=name)
    with pytest.raises(Refused, match="collections already") as caught:
        collecting.take(collection="c")
    assert caught.value.code == "LimitExceeded"
    collecting.take(collection="a", name="r-2")


def test_what_has_a_place_goes_there_and_nowhere_else(collecting: Collecting, tmp_path: Path) -> None:
    at = DatastorePath(datastore="shelf", kind="local", root=str(tmp_path), path="records")
    collecting.serve(records={"blue/request": at.model_dump()})
    collecting.take(b"mine\n")
    collecting.take(b"others\n", collection="response")
    assert collecting.look() == 2
    said = {one["name"]: one for one in collecting.told()}
    assert (said["blue/request"]["bound"], said["blue/request"]["placed"]) == (True, True)
    assert (tmp_path / "records/2026/03/04/05/r-1.jsonl").read_bytes() == b"mine\n"
    held = [data for data in collecting.place.server.blobs.values() if b"mine" in data or b"others" in data]
    assert held == [b"others\n"]
    assert collecting.place.db.rows("SELECT digest FROM pins") == []
    collecting.take(b"more\n", name="r-2")
    collecting.look()
    assert (tmp_path / "records/2026/03/04/05/r-2.jsonl").read_bytes() == b"more\n"


def test_a_place_that_does_not_answer_is_tried_again(collecting: Collecting, tmp_path: Path) -> None:
    at = DatastorePath(datastore="shelf", kind="local", root=str(tmp_path / "file"), path="x")
    (tmp_path / "file").touch()
    collecting.serve(records={"blue/request": at.model_dump()})
    collecting.take()
    assert collecting.look() == 0
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    assert collecting.look() == 1
    assert len(collecting.told()) == 1
