"""How a site's programs call the server: one place for proxy, certificates, signatures and what can go wrong."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, get_args

import httpx

from ferryml.domain.error_catalogue import Code
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

_BY_STATUS: dict[int, type[Refused]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
}
_CODES = frozenset(get_args(Code))


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the server."""

    url: str
    proxy: str = ""
    """`http://[user:password@]host:port`; empty: direct."""
    no_proxy: str = ""
    """Hosts reached directly, separated by commas; `.example.com` and `example.com` both cover its subdomains."""
    ca_bundle: Path | None = None
    connect_timeout_s: float = 10

    @property
    def proxied(self) -> bool:
        """Whether calls to the server go through the proxy."""
        host = httpx.URL(self.url).host
        direct = [name.strip().lstrip(".") for name in self.no_proxy.split(",") if name.strip()]
        return bool(self.proxy) and not any(host == name or host.endswith(f".{name}") for name in direct)


class Signer(Protocol):
    """Holds one key of the site. The server's clock rules: it learns the difference from Date headers."""

    def token(self) -> str:
        """A fresh short-lived JWT."""

    def hears(self, date: str) -> bool:
        """Takes the server's Date header; True when that moved the clock by more than a few seconds."""


def open_client(route: Route) -> httpx.Client:
    """A client with the site's proxy and authorities only: the process's environment has no say.

    Raises Refused(TlsFailed) when the CA bundle cannot be read.
    """
    return httpx.Client(
        base_url=route.url.rstrip("/"),
        proxy=route.proxy if route.proxied else None,
        verify=_authorities(route.ca_bundle),
        timeout=httpx.Timeout(30, connect=route.connect_timeout_s),
        trust_env=False,
    )


class Wire:
    """Sends signed requests; every failure comes out as a FerryError."""

    def __init__(self, client: httpx.Client, route: Route, signer: Signer | None = None) -> None:
        self._client = client
        self._route = route
        self._signer = signer

    def close(self) -> None:
        """Lets go of kept connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | float] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> httpx.Response:
        """The answer, if it is a good one. `content` must be bytes when the call may be signed anew (clock skew).

        Raises Unavailable (ServerUnreachable, ProxyFailed, TlsFailed, ...) when time may mend it, else Refused.
        """
        request = self._client.build_request(
            method, path, params=params, content=content, headers=headers, timeout=self._timeout(timeout_s)
        )
        response = self._attempt(request)
        if response.status_code == 401 and self._skewed(response) and not isinstance(content, Iterator):
            response = self._attempt(request)
        self._check(response)
        return response

    def stream(self, path: str, *, headers: Mapping[str, str], timeout_s: float = 60) -> Iterator[bytes]:
        """The body of a GET, piece by piece; errors as in `send`, also in the middle."""
        request = self._client.build_request("GET", path, headers=headers, timeout=self._timeout(timeout_s))
        response = self._attempt(request, stream=True)
        if response.status_code == 401 and self._skewed(response):
            response.close()
            response = self._attempt(request, stream=True)
        try:
            if response.is_error:
                response.read()
            self._check(response)
            yield from response.iter_bytes(1 << 20)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()

    def raw(
        self, method: str, path: str, *, content: bytes, headers: Mapping[str, str], stream: bool = False
    ) -> httpx.Response:
        """Passes a request through: answers of any status come back; raises Unavailable when there is none.

        With `stream` the body is still to be read, and the caller closes the answer.
        """
        request = self._client.build_request(method, path, content=content, headers=headers, timeout=self._timeout(120))
        response = self._attempt(request, stream)
        if response.status_code == 401 and self._skewed(response):
            response.close()
            response = self._attempt(request, stream)
        return response

    def _attempt(self, request: httpx.Request, stream: bool = False) -> httpx.Response:
        if self._signer is not None:
            request.headers["Authorization"] = f"Bearer {self._signer.token()}"
        try:
            return self._client.send(request, stream=stream)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _skewed(self, response: httpx.Response) -> bool:
        return self._signer is not None and self._signer.hears(response.headers.get("Date", ""))

    def _check(self, response: httpx.Response) -> None:
        if self._signer is not None and response.is_success:
            self._signer.hears(response.headers.get("Date", ""))
        if not response.is_success:
            raise error_of(response, self._route.proxied)

    def _timeout(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=self._route.connect_timeout_s)

    def _unreachable(self, error: httpx.HTTPError) -> FerryError:
        if _tls(error):
            return Unavailable(
                "TlsFailed",
                f"the certificate of {self._route.url} could not be verified: {error}",
                "Set ca_bundle to the PEM file of the authority that signed it.",
            )
        proxied = self._route.proxied
        if isinstance(error, httpx.ProxyError) or (proxied and isinstance(error, httpx.ConnectError)):
            proxy = httpx.URL(self._route.proxy)
            return Unavailable(
                "ProxyFailed",
                f"the proxy {proxy.host}:{proxy.port} did not let us through to {self._route.url}: {error}",
                "Check the proxy's address and credentials (settings proxy and no_proxy of the site).",
            )
        why = str(error) or type(error).__name__
        return Unavailable(
            "ServerUnreachable", f"{self._route.url} did not answer: {why}", "We try again by ourselves."
        )


def error_of(response: httpx.Response, proxied: bool = False) -> FerryError:
    """The error that an answer carries; its body may come from a proxy and be anything."""
    body = _error_body(response)
    status = response.status_code
    if body is None and proxied and status in (403, 407, 502, 503, 504):
        return Unavailable("ProxyFailed", f"the proxy answered {status} {response.reason_phrase}", "Check the proxy.")
    body = body or {}
    code, message = body.get("code"), str(body.get("message") or f"the server answered {status}")
    known = cast(Code, code) if code in _CODES else None
    hint, details = str(body.get("hint") or ""), body.get("details")
    extra = details if isinstance(details, dict) else {}
    if status == 429 or status in (502, 503, 504):
        return Unavailable(known or "Unavailable", message, hint, extra)
    if status >= 500:
        return Defect(known or "Internal", message, hint, extra)
    return _BY_STATUS.get(status, Refused)(known or "BadRequest", message, hint, extra)


def _error_body(response: httpx.Response) -> dict[str, object] | None:
    try:
        error = response.json().get("error")
    except (ValueError, AttributeError):
        return None
    return error if isinstance(error, dict) else None


def _authorities(bundle: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if bundle is None else str(bundle))
    except (OSError, ssl.SSLError) as error:
        raise Refused("TlsFailed", f"the CA bundle {bundle} cannot be used: {error}", "Give a PEM file.") from error


def _tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
