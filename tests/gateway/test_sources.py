from __future__ import annotations

from collections.abc import Iterator

import pytest

from ferryml.domain.errors import Forbidden, NotFound, Refused, Unavailable
from ferryml.gateway.journal import Caller
from ferryml.gateway.sources import Sources
from ferryml.gateway.upstream import Upstream
from ferryml.sdk.wire import Route
from gateway_play import PlayPlace
from web_play import Web

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
    sources = Sources(gateway.db, gateway.store, upstream)
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
