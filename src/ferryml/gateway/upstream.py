"""How the gateway fetches what is not the server's: through the site's proxy and authorities, from no place inside."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Forbidden, NotFound, Refused, Unavailable
from ferryml.sdk.wire import Route

BLOCK = 1 << 20
HOPS = 5
TIMEOUT_S = 60
REDIRECTS = (301, 302, 303, 307, 308)


class Upstream:
    """Fetches over http and https.

    Args:
        route: proxy and timeouts; its url is not looked at.
        authorities: PEM files that are trusted beside the public ones.
        near: hosts that are reached although they are this machine.
    """

    def __init__(
        self, route: Route, authorities: tuple[Path | None, ...] = (), near: frozenset[str] = frozenset()
    ) -> None:
        self._route, self._near = route, near
        context = _context(authorities)
        timeout = httpx.Timeout(TIMEOUT_S, connect=route.connect_timeout_s)
        self._direct = httpx.Client(verify=context, timeout=timeout, trust_env=False)
        self._proxied = (
            httpx.Client(verify=context, timeout=timeout, trust_env=False, proxy=route.proxy)
            if route.proxy
            else self._direct
        )

    def close(self) -> None:
        self._direct.close()
        self._proxied.close()

    @contextmanager
    def get(self, url: str, home: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """The answer with its body still to be read; redirects are followed.

        Args:
            home: address that the site's settings name; empty for none. Its credentials go to its own host alone;
                other hosts must not be inside of this machine, its network link or the cluster.

        Raises Unavailable, NotFound, or Refused when the other side says no.
        """
        trusted, asked = urlsplit(home), url
        secret = (unquote(trusted.username or ""), unquote(trusted.password or ""))
        for _ in range(HOPS + 1):
            own = (urlsplit(asked).hostname, urlsplit(asked).port) == (trusted.hostname, trusted.port)
            response = self._send(asked, secret if own and any(secret) else None, own, headers)
            try:
                target = response.headers.get("Location", "")
                if response.status_code not in REDIRECTS or not target:
                    _judge(response, asked)
                    yield response
                    return
            finally:
                response.close()
            following = urljoin(asked, target)
            if urlsplit(asked).scheme == "https" and urlsplit(following).scheme != "https":
                raise Forbidden("Forbidden", f"{_host(asked)} leads from https to {urlsplit(following).scheme}")
            asked = following
        raise Unavailable("Unavailable", f"{_host(url)} leads on and on")

    def call(
        self, method: str, url: str, headers: Mapping[str, str], content: Iterator[bytes] | None = None
    ) -> httpx.Response:
        """Any request to a service that a datastore names, which may be one of the cluster; nothing is followed.

        The answer's body is still to be read, and the caller closes it. Raises Forbidden, Unavailable.
        """
        host = urlsplit(url).hostname or ""
        if urlsplit(url).scheme not in ("http", "https") or not host:
            raise Forbidden("Forbidden", f"{url[:100]!r} is no web address")
        proxied = Route(url, self._route.proxy, self._route.no_proxy).proxied
        if host not in self._near:
            _check_addresses(host, resolve=not proxied)
        client = self._proxied if proxied else self._direct
        return self._stream(client, client.build_request(method, url, headers=dict(headers), content=content))

    def _send(
        self, url: str, auth: tuple[str, str] | None, own: bool, headers: dict[str, str] | None
    ) -> httpx.Response:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Forbidden("Forbidden", f"{url[:100]!r} is no web address")
        proxied = Route(url, self._route.proxy, self._route.no_proxy).proxied
        if not own and parts.hostname not in self._near:
            _check_outside(parts.hostname, resolve=not proxied)
        client = self._proxied if proxied else self._direct
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        request = client.build_request("GET", plain, headers={"Accept-Encoding": "identity", **(headers or {})})
        return self._stream(client, request, auth)

    def _stream(
        self, client: httpx.Client, request: httpx.Request, auth: tuple[str, str] | None = None
    ) -> httpx.Response:
        host = request.url.host
        try:
            return client.send(request, stream=True, auth=auth)
        except httpx.ProxyError as error:
            raise Unavailable("ProxyFailed", f"the proxy did not let us through to {host}: {error}") from error
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            code: Code = "TlsFailed" if "CERTIFICATE" in why else "Unavailable"
            raise Unavailable(code, f"{host} does not answer: {why}") from error


def pieces(answer: httpx.Response) -> Iterator[bytes]:
    """The body as it comes. Raises Unavailable when it breaks off."""
    try:
        yield from answer.iter_raw(BLOCK)
    except httpx.HTTPError as error:
        raise Unavailable("Unavailable", f"the transfer broke off: {error}") from error


def _judge(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status == 404:
        raise NotFound("NotFound", f"{_host(url)} does not have it")
    if status in (401, 403, 407):
        raise Refused(
            "Forbidden", f"{_host(url)} answers {status}", "IT: check the credentials in the site's settings."
        )
    if status != 200:
        raise Unavailable("Unavailable", f"{_host(url)} answers {status}")


def _check_outside(host: str, resolve: bool) -> None:
    """Links of an index may lead anywhere but to this pod's own neighbourhood: metadata services live there."""
    plain = host.lower().rstrip(".")
    if plain.endswith((".svc", ".cluster.local")) or ("." not in plain and ":" not in plain):
        raise Forbidden("Forbidden", f"{host} is a name inside of the cluster")
    _check_addresses(host, resolve)


def _check_addresses(host: str, resolve: bool) -> None:
    found = [host.strip("[]")]
    if resolve:
        try:
            found = [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            raise Unavailable("Unavailable", f"{host} cannot be found: {error}") from error
    for text in found:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            continue
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            raise Forbidden("Forbidden", f"{host} is {address}, where nothing is fetched from")


def _context(authorities: tuple[Path | None, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in authorities:
        if path is not None:
            try:
                context.load_verify_locations(cafile=str(path))
            except (OSError, ssl.SSLError) as error:
                raise Refused("TlsFailed", f"the file {path} cannot be used: {error}", "Give a PEM file.") from error
    return context


def _host(url: str) -> str:
    return urlsplit(url).hostname or url[:100]
