"""Which addresses people may make a server talk to: public ones, and the networks that IT has named."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ferryml.domain.errors import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST = 2000
_PLAIN = re.compile(r"[!-~]+")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_INSIDE = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Public by its number, but Azure's own service inside of each virtual network."""


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, fd00::/8` as networks. Raises ValueError that names the wrong one."""
    return tuple(ipaddress.ip_network(word) for word in re.split(r"[\s,]+", text) if word)


def may_reach(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether `address` (as a resolver gives it) is public or in one of the `allowed` networks.

    An IPv4 address inside of an IPv6 one (mapped, 6to4, Teredo, NAT64) is judged as well: a way round is no way.
    """
    named = tuple(allowed)
    return all(_one(each, named) for each in _meant(ipaddress.ip_address(address.partition("%")[0])))


def web_address(url: str, allow_http: bool = True) -> str:
    """`url` as it is. Raises Refused(BadValue) unless it can be posted to; the URL is not in the message."""
    fault = _fault(url, allow_http)
    if fault:
        raise Refused("BadValue", f"the URL {fault}", "Write https://HOST/PATH.")
    return url


def masked(url: str) -> str:
    """What anybody may know of a URL whose path opens something: scheme, host and port."""
    parts = urlsplit(url)
    rest = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc}" + ("/..." if rest else "")


def _fault(url: str, allow_http: bool) -> str:
    if len(url) > LONGEST or not _PLAIN.fullmatch(url):
        return f"is longer than {LONGEST} characters, or holds spaces or others than ASCII: write them as %XX"
    try:
        parts: Any = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "is no web address"
    if port == 0:
        return "names port 0"
    if "@" in parts.netloc:
        return "holds a user or a password: use its path, or the signature"
    if parts.fragment or "#" in url:
        return "has a fragment (#), which no server sees"
    if parts.scheme == "http" and not allow_http:
        return "is plain http, which this server does not allow (webhook_allow_http)"
    return ""


def _one(address: Address, allowed: tuple[Network, ...]) -> bool:
    if any(address in network for network in allowed):
        return True
    return address.is_global and not address.is_multicast and address not in _INSIDE


def _meant(address: Address) -> tuple[Address, ...]:
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inner: list[Address] = [found for found in (address.sixtofour, *(address.teredo or ())) if found is not None]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *inner)
