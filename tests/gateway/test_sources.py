from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ferryml.domain.errors import Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.journal import Caller
from ferryml.gateway.places import Places
from ferryml.gateway.sources import Sources
from ferryml.gateway.upstream import Upstream, pieces
from ferryml.sdk.wire import Route
from fixtures_s3 import S3Server
from gateway_play import PlayPlace
from web_play import Web

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Caller("job.w.j", 1, "w", "")


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def sources(gateway: PlayPlace, web: Web) -> Iterator[Sources]:
    # The way out is a proxy, so that a far address ends at this machine.
    upstream = Upstream(Route("", proxy=web.url))
    sources = Sources(
        gateway.db, gateway.store, upstream, lambda place, who: Places(upstream, lambda: NOW).shelf(place, {})
    )
    yield sources
    sources.close()
    upstream.close()


def test_a_job_has_what_the_agent_said(sources: Sources, web: Web) -> None:
    web.answers["http://data.example/x.csv"] = (200, {}, b"a,b\n")
    sources.allow("job.w.j", {"inputs.x": {"uri": "http://data.example/x.csv"}})
    for _ in range(2):
        assert sources.file(JOB, "inputs.x", 5).read_bytes() == b"a,b\n"
    assert len(web.asked) == 1


def test_a_broken_transfer_is_begun_anew(sources: Sources, web: Web) -> None:
    sources.allow("job.w.j", {"inputs.x": {"uri": "http://data.example/x"}})
    web.answers["http://data.example/x"] = (200, {"Content-Length": "9", "Connection": "close"}, b"ha")
    with pytest.raises(Unavailable):
        sources.file(JOB, "inputs.x", 5)
    web.answers["http://data.example/x"] = (200, {}, b"half more")
    assert sources.file(JOB, "inputs.x", 5).read_bytes() == b"half more"


def test_what_was_said_first_stays(sources: Sources) -> None:
    sources.allow("job.w.j", {"inputs.x": {"uri": "file:///etc/passwd"}})
    sources.allow("job.w.j", {"inputs.x": {"uri": "http://other.example/"}})
    with pytest.raises(Refused, match="cannot read"):
        sources.file(JOB, "inputs.x", 5)


def test_nobody_has_what_is_anothers(sources: Sources) -> None:
    sources.allow("job.w.j", {"inputs.x": {"uri": "http://other.example/"}})
    for caller, name in (
        (Caller("job.w.k", 1, "w", ""), "inputs.x"),
        (JOB, "inputs.y"),
        (Caller("job.w.j", 1, "w", "", kind="preparation"), "inputs.x"),
    ):
        with pytest.raises(NotFound):
            sources.file(caller, name, 5)


def test_the_neighbourhood_is_no_source(sources: Sources) -> None:
    sources.allow("job.w.j", {"inputs.x": {"uri": "http://169.254.169.254/latest/meta-data"}})
    with pytest.raises(Forbidden):
        sources.file(JOB, "inputs.x", 5)


def a_place(s3_server: S3Server, bucket: str, path: str = "data", **options: str) -> DatastorePath:
    known = {"endpoint": s3_server.url, "region": s3_server.region, **options}
    return DatastorePath(datastore="lake", kind="s3", root=f"s3://{bucket}/base", path=path, options=known)


@pytest.fixture
def lake(gateway: PlayPlace, s3_server: S3Server) -> Iterator[Sources]:
    upstream = Upstream(Route(""), near=frozenset({"127.0.0.1"}))
    secret = {"AWS_ACCESS_KEY_ID": s3_server.access_key, "secret_access_key": s3_server.secret_key + "\n"}
    places = Places(upstream, lambda: datetime.now(UTC))
    sources = Sources(gateway.db, gateway.store, upstream, lambda place, workspace: places.shelf(place, secret))
    yield sources
    sources.close()
    upstream.close()


def test_a_place_is_read_and_written_below_its_root(lake: Sources, s3_server: S3Server, tmp_path: Path) -> None:
    bucket = s3_server.new_bucket()
    place = a_place(s3_server, bucket).model_dump(mode="json")
    lake.allow("job.w.j", {"inputs.x": {"place": place}, "outputs.o": {"place": place}})
    (tmp_path / "f").write_bytes(b"abc")
    lake.write(JOB, "outputs.o", "sub/f", tmp_path / "f")
    assert (s3_server.folder / bucket / "base/data/sub/f").read_bytes() == b"abc"
    assert [(entry.path, entry.size) for entry in lake.entries(JOB, "inputs.x")] == [("sub/f", 3)]
    answer = lake.read(JOB, "inputs.x", "sub/f", {"range": "bytes=1-"})
    assert b"".join(pieces(answer)) == b"bc"
    answer.close()
    for path in ("../f", "/etc/passwd", "a//b", "sub/../../f"):
        with pytest.raises(Refused):
            lake.read(JOB, "inputs.x", path, {})
    with pytest.raises(Forbidden):
        lake.write(JOB, "inputs.x", "f", tmp_path / "f")


def test_other_kinds_of_place_are_refused(lake: Sources) -> None:
    place = DatastorePath(datastore="lake", kind="azure_file", root="az://c").model_dump(mode="json")
    lake.allow("job.w.j", {"inputs.x": {"place": place}, "inputs.y": {"uri": "http://x.example/"}})
    with pytest.raises(Refused, match="azure_file"):
        lake.entries(JOB, "inputs.x")
    with pytest.raises(NotFound):
        lake.entries(JOB, "inputs.y")
