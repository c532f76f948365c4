from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, Unavailable
from ferryml.gateway.upstream import Upstream, pieces
from ferryml.sdk.wire import Route
from web_play import Web


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(Route("", connect_timeout_s=2))
    yield upstream
    upstream.close()


def body(upstream: Upstream, url: str, home: str) -> bytes:
    with upstream.get(url, home) as answer:
        return b"".join(pieces(answer))


def test_redirects_are_followed_and_credentials_stay_home(web: Web, upstream: Upstream) -> None:
    web.answers = {"/a": (301, {"Location": "/b"}, b""), "/b": (200, {}, b"found")}
    home = web.url.replace("://", "://user:p%40ss@")
    assert body(upstream, f"{web.url}/a", home) == b"found"
    assert web.asked[0][1] == web.asked[1][1] == "Basic dXNlcjpwQHNz"


def test_no_link_leads_to_the_neighbourhood(web: Web, upstream: Upstream) -> None:
    port = web.url.rpartition(":")[2]
    for url in (
        f"http://127.0.0.2:{port}/x",
        f"http://[::1]:{port}/x",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/x",
    ):
        with pytest.raises(Forbidden):
            body(upstream, url, web.url)
    for url in (
        "http://kubernetes.default.svc/x",
        "http://kubernetes/x",
        "file:///etc/passwd",
        "ftp://x.y/z",
        "http:///x",
    ):
        with pytest.raises(Forbidden):
            body(upstream, url, web.url)
    web.answers = {"/a": (302, {"Location": "http://169.254.169.254/token"}, b"")}
    with pytest.raises(Forbidden):
        body(upstream, f"{web.url}/a", web.url)


def test_going_in_circles_ends(web: Web, upstream: Upstream) -> None:
    web.answers = {"/a": (302, {"Location": "/a"}, b"")}
    with pytest.raises(Unavailable, match="on and on"):
        body(upstream, f"{web.url}/a", web.url)
    assert len(web.asked) == 6


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (401, Refused), (403, Refused), (500, Unavailable), (204, Unavailable)]
)
def test_other_answers_are_errors(web: Web, upstream: Upstream, status: int, kind: type[FerryError]) -> None:
    web.answers = {"/a": (status, {}, b"")}
    with pytest.raises(kind):
        body(upstream, f"{web.url}/a", web.url)


def test_a_broken_transfer_and_nobody_there_are_a_matter_of_time(web: Web, upstream: Upstream) -> None:
    web.answers = {"/a": (200, {"Content-Length": "10", "Connection": "close"}, b"half")}
    with pytest.raises(Unavailable):
        body(upstream, f"{web.url}/a", web.url)
    with pytest.raises(Unavailable):
        body(upstream, "http://127.0.0.1:9/x", "http://127.0.0.1:9")


def test_the_proxy_is_used_where_the_site_says_so(web: Web) -> None:
    web.answers = {"http://far.example/x": (200, {}, b"through")}
    upstream = Upstream(Route("", proxy=web.url, no_proxy="127.0.0.1"))
    assert body(upstream, "http://far.example/x", "http://far.example") == b"through"
    upstream.close()


def test_authorities_that_cannot_be_read_are_said(tmp_path: Any) -> None:
    with pytest.raises(Refused, match="cannot be used"):
        Upstream(Route(""), (tmp_path / "none.pem",))
