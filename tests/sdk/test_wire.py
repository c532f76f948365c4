"""The site's calls: proxy, certificates, clock, and every failure in our own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ferryml.domain.errors import (
    Conflict,
    Defect,
    FerryError,
    Forbidden,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from ferryml.sdk.wire import Route, Wire, error_of, open_client
from https_play import Authority, HttpsServer


class Signer:
    """Counts tokens; a Date of `later` moves its clock once."""

    def __init__(self) -> None:
        self.tokens = 0
        self.heard: list[str] = []

    def token(self) -> str:
        self.tokens += 1
        return f"token{self.tokens}"

    def hears(self, date: str) -> bool:
        self.heard.append(date)
        return date == "later" and self.heard.count("later") == 1


def a_wire(answer: Callable[[httpx.Request], httpx.Response], signer: Signer | None = None, **route: Any) -> Wire:
    way = Route("http://server.example", **route)
    return Wire(httpx.Client(base_url=way.url, transport=httpx.MockTransport(answer)), way, signer)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Refused, "BadRequest"),
        (401, Unauthenticated, "BadRequest"),
        (403, Forbidden, "BadRequest"),
        (404, NotFound, "BadRequest"),
        (409, Conflict, "BadRequest"),
        (413, TooLarge, "BadRequest"),
        (429, Unavailable, "Unavailable"),
        (500, Defect, "Internal"),
        (502, Unavailable, "Unavailable"),
        (503, Unavailable, "Unavailable"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>oops</html>", b"[]", b'{"error": "words"}', b'{"error": {"code": "New"}}']
)
def test_errors_by_status_whatever_the_body(status: int, kind: type[FerryError], code: str, body: bytes) -> None:
    error = error_of(httpx.Response(status, content=body))
    assert (type(error), error.code) == (kind, code)


def test_our_own_errors_come_through_whole() -> None:
    said = {"error": {"code": "BlobMissing", "message": "gone", "hint": "look", "details": {"n": 1}}}
    error = error_of(httpx.Response(404, json=said))
    assert isinstance(error, NotFound)
    assert error.as_dict() == said["error"]


@pytest.mark.parametrize("status", [403, 407, 502, 503, 504])
def test_a_page_of_the_proxy_is_the_proxys_fault(status: int) -> None:
    error = error_of(httpx.Response(status, content=b"<html>"), proxied=True)
    assert (type(error), error.code) == (Unavailable, "ProxyFailed")


def test_each_call_is_signed() -> None:
    signer = Signer()
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, json={})

    wire = a_wire(answer, signer)
    wire.send("GET", "/a")
    wire.send("GET", "/b")
    assert seen == ["Bearer token1", "Bearer token2"]


@pytest.mark.parametrize("how", ["send", "raw", "stream"])
def test_a_wrong_clock_is_put_right_and_the_call_repeated_once(how: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        good = request.headers["Authorization"] == "Bearer token2"
        return httpx.Response(200 if good else 401, content=b"{}", headers={"Date": "later"})

    signer = Signer()
    wire = a_wire(answer, signer)
    if how == "send":
        assert wire.send("GET", "/").status_code == 200
    elif how == "raw":
        assert wire.raw("GET", "/", content=b"", headers={}).status_code == 200
    else:
        assert b"".join(wire.stream("/", headers={})) == b"{}"
    assert signer.tokens == 2


def test_a_key_that_is_not_known_is_not_tried_for_ever() -> None:
    signer = Signer()
    wire = a_wire(lambda request: httpx.Response(401, headers={"Date": "now"}), signer)
    with pytest.raises(Unauthenticated):
        wire.send("GET", "/")
    assert signer.tokens == 1


def test_a_body_that_breaks_off_is_unreachable() -> None:
    def body() -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("cut")

    wire = a_wire(lambda request: httpx.Response(200, content=body()))
    with pytest.raises(Unavailable) as caught:
        b"".join(wire.stream("/", headers={}))
    assert caught.value.code == "ServerUnreachable"


@pytest.mark.parametrize(
    ("no_proxy", "proxied"),
    [("", True), ("other.example", True), ("server.example", False), (".example", False), ("a, example ,b", False)],
)
def test_who_is_reached_without_the_proxy(no_proxy: str, proxied: bool) -> None:
    assert Route("http://server.example", proxy="http://p:1", no_proxy=no_proxy).proxied is proxied
    assert not Route("http://server.example", no_proxy=no_proxy).proxied


def send(route: Route) -> httpx.Response:
    wire = Wire(open_client(route), route)
    try:
        return wire.send("GET", "/x", timeout_s=5)
    finally:
        wire.close()


def test_nobody_answers(free_port: int) -> None:
    with pytest.raises(Unavailable) as caught:
        send(Route(f"http://127.0.0.1:{free_port}"))
    assert caught.value.code == "ServerUnreachable"


def test_a_dead_proxy_is_named_without_its_password(free_port: int) -> None:
    with pytest.raises(Unavailable) as caught:
        send(Route("http://server.example", proxy=f"http://me:s3cret@127.0.0.1:{free_port}"))
    assert caught.value.code == "ProxyFailed"
    assert f"127.0.0.1:{free_port}" in caught.value.message
    assert "s3cret" not in str(caught.value.as_dict())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def https(authority: Authority) -> Iterator[HttpsServer]:
    server = HttpsServer(*authority.server_files())
    yield server
    server.close()


def test_a_custom_authority(https: HttpsServer, authority: Authority) -> None:
    assert send(Route(https.url, ca_bundle=authority.bundle)).status_code == 200


@pytest.mark.parametrize("trusted", ["another", "public"])
def test_a_wrong_authority(https: HttpsServer, tmp_path: Path, trusted: str) -> None:
    bundle = Authority(tmp_path, "another").bundle if trusted == "another" else None
    with pytest.raises(Unavailable) as caught:
        send(Route(https.url, ca_bundle=bundle))
    assert caught.value.code == "TlsFailed"
    assert "ca_bundle" in caught.value.hint


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_bundle_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content:
        bundle.write_text(content)
    with pytest.raises(Refused) as caught:
        open_client(Route("https://server.example", ca_bundle=bundle))
    assert caught.value.code == "TlsFailed"


def test_the_environment_has_no_say(https: HttpsServer, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert send(Route(https.url, ca_bundle=authority.bundle)).status_code == 200
