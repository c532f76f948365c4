"""What routers recorded: durable at once, told in versions, and bound where its endpoint is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cluster_gateway_play import SYSTEM, PlayClusterGateway
from ferryml.compile.tree import parse_tree
from ferryml.domain.collection import Batch
from ferryml.domain.errors import Forbidden
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
    assert (first["name"], first["bound"]) == ("blue/request", False)
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
