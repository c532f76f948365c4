"""The server's only way out: posts to addresses that people name, and looks where it really connects to."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from ferryml.control.ports import Answered
from ferryml.domain.addresses import Network, may_reach, networks
from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import FerryError, Forbidden, Refused, Unavailable
from ferryml.settings.server import ServerSettings

MOST_READ = 4096
"""Bytes of an answer that are looked at; the rest is not read."""
MOST_SAID = 300
AGENT = "ferryml"


class Outbound:
    """`control.ports.Post` over the network.

    Names are resolved here, every address that comes out is judged, and the connection goes to that address: a name
    cannot mean one thing when it is judged and another when it is used. Redirects are not followed. Where the
    environment names a proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), names are the proxy's to resolve and to judge.
    """

    def __init__(self, allowed: Iterable[Network] = (), timeout_s: float = 10.0, ca_bundle: Path | None = None) -> None:
        self._allowed, self._timeout_s = tuple(allowed), timeout_s
        self._tls = _authorities(ca_bundle)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = _proxy_for(parts.scheme, host, parts.port)
        if proxy:
            self._check_literal(host)
        backend = _Judging(None if proxy else self._allowed, time.monotonic() + self._timeout_s)
        with _translated(host, proxy), self._pool(backend, proxy) as pool:
            said = {"user-agent": AGENT, "accept-encoding": "identity", **headers, "content-length": str(len(body))}
            sent: list[tuple[bytes | str, bytes | str]] = [*said.items()]
            timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
            extensions = {"timeout": timeouts}
            with pool.stream("POST", url, headers=sent, content=body, extensions=extensions) as answer:
                return Answered(
                    status=answer.status, said=_beginning(answer), retry_after_s=_retry_after(answer.headers)
                )

    def _pool(self, backend: httpcore.NetworkBackend, proxy: str) -> httpcore.ConnectionPool:
        if not proxy:
            return httpcore.ConnectionPool(self._tls, max_connections=1, network_backend=backend)
        parts = urlsplit(proxy)
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        return httpcore.HTTPProxy(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", auth, ssl_context=self._tls,
            proxy_ssl_context=self._tls if parts.scheme == "https" else None, max_connections=1,
            network_backend=backend,
        )  # fmt: skip

    def _check_literal(self, host: str) -> None:
        """Behind a proxy at least no address of ours is named, however it is written."""
        plain = host.lower().rstrip(".")
        address = "127.0.0.1" if plain == "localhost" or plain.endswith(".localhost") else _literal(plain)
        if address and not may_reach(address, self._allowed):
            raise _forbidden(host, address)


def from_settings(settings: ServerSettings) -> Outbound:
    """As the server's settings say. Raises Refused(TlsFailed) for a bundle that is none."""
    return Outbound(networks(settings.webhook_networks), settings.webhook_timeout_s, settings.webhook_ca_bundle)


class _Judging(httpcore.NetworkBackend):
    """Connects to addresses that are allowed (`None`: to any, for the proxy's own), all of it before a deadline."""

    def __init__(self, allowed: tuple[Network, ...] | None, deadline: float) -> None:
        self._allowed, self._deadline = allowed, deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        addresses = _resolved(host, port)
        if self._allowed is not None:
            for address in addresses:
                if not may_reach(address, self._allowed):
                    raise _forbidden(host, address)
        failed: httpcore.ConnectError | None = None
        for address in addresses:
            try:
                made = self._plain.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
                return _Bounded(made, self._deadline)
            except httpcore.ConnectError as error:
                failed = error
        raise failed or httpcore.ConnectError(f"{host} has no address")


class _Bounded(httpcore.NetworkStream):
    """A stream whose every step ends by one deadline: an answer that trickles does not hold up a delivery."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole answer is over")
    return left


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _literal(host: str) -> str:
    """The address that a host is, also in the ways of writing that C libraries know (`127.1`, `0x7f000001`)."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return ""


def _proxy_for(scheme: str, host: str, port: int | None) -> str:
    """The proxy that the environment names for this host; empty: none."""
    told = getproxies()
    proxy = told.get(scheme) or told.get("all", "")
    if not proxy or proxy_bypass(f"{host}:{port}" if port else host) or proxy_bypass(host):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _beginning(answer: httpcore.Response) -> str:
    read = b""
    for piece in answer.iter_stream():
        read += piece
        if len(read) >= MOST_READ:
            break
    text = " ".join(read[:MOST_READ].decode("utf-8", "replace").split())
    return "".join(char for char in text if char.isprintable())[:MOST_SAID]


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Seconds; dates and nonsense are nothing."""
    said = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return float(said) if said.isdigit() and len(said) <= 9 else 0.0


@contextmanager
def _translated(host: str, proxy: str) -> Iterator[None]:
    """What goes wrong on the way, in our words: the host, never the path."""
    try:
        yield
    except FerryError:
        raise
    except httpcore.ProxyError as error:
        raise Unavailable("ProxyFailed", f"the proxy did not let us through to {host}: {error}") from error
    except httpcore.TimeoutException as error:
        raise Unavailable("Unavailable", f"{host} did not answer in time") from error
    except (OSError, UnicodeError) as error:
        raise Unavailable("Unavailable", f"{host} cannot be found: {error}") from error
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        # its text may quote what came, which is for owners alone
        raise Unavailable("Unavailable", f"{host} ended without an answer, or speaks no HTTP") from error
    except httpcore.NetworkError as error:
        words = str(error) or type(error).__name__
        code: Code = "TlsFailed" if "certificate" in words.lower() else "ProxyFailed" if proxy else "Unavailable"
        raise Unavailable(code, f"{host} does not answer: {words}") from error


def _forbidden(host: str, address: str) -> Forbidden:
    return Forbidden(
        "Forbidden", f"{host} is {address}, which this server posts nothing to",
        "IT: name its network in webhook_networks, if it is meant.",
    )  # fmt: skip


def _authorities(bundle: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if bundle is not None:
        try:
            context.load_verify_locations(cafile=str(bundle))
        except (OSError, ssl.SSLError) as error:
            raise Refused("TlsFailed", f"the file {bundle} cannot be used: {error}", "Give a PEM file.") from error
    return context
