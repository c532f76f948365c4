"""What the blocking and the async client share: where the server is, and how a call becomes an HTTP request."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.request import getproxies, proxy_bypass

import httpx

from ferryml.domain.errors import Refused, Unavailable
from ferryml.sdk.flow import Call

_CONTENT_RANGE = re.compile(r"bytes (\d+)-")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TRIES = 4
"""Attempts of a repeatable call, with 0.2, 0.4 and 0.8 s between them."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send and as whom.

    Args:
        url: of the server, such as `https://ferry.example.com`.
        token: `fry_...`; empty = none.
        ca_bundle: PEM file of the authority that signed the server's certificate; None = the system's.
        proxy: `http://host:port`; None = what HTTPS_PROXY and its like say; empty = none.
    """

    url: str
    token: str = ""
    ca_bundle: Path | None = None
    proxy: str | None = None

    def options(self) -> Mapping[str, object]:
        """Arguments for an httpx client."""
        headers = {"User-Agent": "ferryml"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        options: dict[str, object] = {
            "base_url": self.url.rstrip("/"),
            "headers": headers,
            "verify": _authorities(self.ca_bundle),
        }
        if self.proxy is not None:
            options |= {"proxy": self.proxy or None, "trust_env": False}
        elif httpx.URL(self.url).host in LOOPBACK:
            options["trust_env"] = False
        return options


@lru_cache(maxsize=8)
def _authorities(bundle: Path | None) -> ssl.SSLContext:
    """Reading the system's authorities takes longer than a request; clients of one process share them."""
    try:
        return ssl.create_default_context(cafile=str(bundle) if bundle else None)
    except (OSError, ssl.SSLError) as error:
        raise Refused("TlsFailed", f"the CA bundle {bundle} cannot be used: {error}", "Give a PEM file.") from error


def pause_before(attempt: int) -> float:
    """Seconds before attempt 2, 3, ..."""
    return float(0.1 * 2 ** (attempt - 1))


def unreachable(url: str, error: httpx.HTTPError, proxy: str | None = None) -> Unavailable:
    """A transport failure in words; `proxy` as in `Target`."""
    why = str(error) or type(error).__name__
    if "CERTIFICATE" in why or "certificate" in why:
        return Unavailable(
            "TlsFailed",
            f"the certificate of {url} could not be verified: {why}",
            "Give --ca-bundle or FERRY_CA_BUNDLE.",
        )
    through = _proxy_of(url, proxy)
    if isinstance(error, httpx.ProxyError) or (
        through and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    ):
        named = f"the proxy {through}".rstrip()
        return Unavailable(
            "ProxyFailed",
            f"{named} did not let us through to {url}: {why}",
            "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        )
    return Unavailable(
        "ServerUnreachable", f"{url} did not answer: {why}", "Check FERRY_URL, or start one with `ferry up`."
    )


def _proxy_of(url: str, proxy: str | None) -> str:
    """`host:port` of the proxy on the way, without its password; empty: none."""
    if proxy is None:
        server, told = httpx.URL(url), getproxies()
        direct = server.host in LOOPBACK or proxy_bypass(server.host)
        proxy = "" if direct else told.get(server.scheme) or told.get("all", "")
    return httpx.URL(proxy if "://" in proxy else f"http://{proxy}").netloc.decode() if proxy else ""


def may_repeat(call: Call, attempt: int) -> bool:
    """Whether a failed attempt may be made again."""
    return call.repeatable and attempt < TRIES


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call) -> httpx.Request:
    """A call as the request of either client."""
    return http.build_request(
        call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers),
        timeout=httpx.Timeout(call.timeout_s, connect=10),
    )  # fmt: skip


@contextmanager
def opened(response: httpx.Response, path: str) -> Iterator[BinaryIO]:
    """The file that receives a body, at the byte where the body begins.

    A call made again asks for the same range: what an attempt before it had written is written over.
    """
    begins = _CONTENT_RANGE.match(response.headers.get("Content-Range", "")) if response.status_code == 206 else None
    start = int(begins[1]) if begins else 0
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        file.seek(start)
        file.truncate()
        yield file
