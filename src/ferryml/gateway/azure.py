"""Azure Blob storage in as many words as a gateway needs; Data Lake Gen2 answers to them, too (Shared Key, SAS, OAuth).

After learn.microsoft.com/rest/api/storageservices: Authorize with Shared Key, List Blobs, Get Blob, Put Blob,
Put Block, Put Block List.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from ferryml.domain.errors import Refused
from ferryml.gateway.objects import MOST_ENTRIES, TRIES, Entry, Reply, listed, refuse, slice_of, whole, xml
from ferryml.gateway.upstream import Upstream

VERSION = "2020-10-02"
"""Of the service's protocol: the first whose lists tell folders of Data Lake Gen2 from files is 2020-06-12."""
WHOLE_UP_TO = 256 << 20
"""Bytes above which a file is sent in blocks."""
BLOCK_SIZE = 64 << 20
MOST_BLOCKS = 45_000
PAGE = "5000"
SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip
"""Headers of the text that a shared key signs, in its order."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container, or a file system of Data Lake Gen2, and who we are there; of three credentials at most one."""

    url: str
    """Of the account's Blob service, no trailing slash."""
    account: str
    name: str
    key: bytes = field(default=b"", repr=False)
    """The account's key."""
    sas: str = field(default="", repr=False)
    """A shared access signature: a query, without the question mark."""
    bearer: Callable[[], str] | None = field(default=None, repr=False)
    """Gives an OAuth token."""

    @property
    def words(self) -> str:
        return f"container {self.name} of account {self.account}"


class Azure:
    """`ObjectStore` of containers.

    Args:
        now: the clock; signatures hold for some minutes.
    """

    def __init__(self, upstream: Upstream, now: Callable[[], datetime]) -> None:
        self._upstream, self._now = upstream, now

    def list(self, where: Container, prefix: str) -> list[Entry]:
        """See ObjectStore."""
        return listed(lambda text: self._pages(where, text), prefix, where.words)

    def read(self, where: Container, key: str, headers: Mapping[str, str]) -> httpx.Response:
        """See ObjectStore."""
        response = self._send(where, "GET", key, headers=headers)
        if response.status_code not in (200, 206):
            refuse(where.words, whole(response), key)
        return response

    def write(
        self, where: Container, key: str, file: Path, whole_up_to: int = WHOLE_UP_TO, block: int = BLOCK_SIZE
    ) -> None:
        """Puts a file of any size; large ones in blocks, which count only once all of them are named."""
        size = file.stat().st_size
        if size <= whole_up_to:
            blob = {"x-ms-blob-type": "BlockBlob"}
            self._checked(where, "PUT", key, {}, blob, partial(slice_of, file, 0, size), size)
            return
        block = max(block, -(-size // MOST_BLOCKS))
        names = []
        for number, offset in enumerate(range(0, size, block)):
            length = min(block, size - offset)
            names.append(base64.b64encode(f"{number:08}".encode()).decode())
            query = {"comp": "block", "blockid": names[-1]}
            self._checked(where, "PUT", key, query, {}, partial(slice_of, file, offset, length), length)
        body = "".join(f"<Latest>{name}</Latest>" for name in names)
        data = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{body}</BlockList>'.encode()
        self._checked(where, "PUT", key, {"comp": "blocklist"}, {}, lambda: iter([data]), len(data))

    def _pages(self, where: Container, prefix: str) -> Iterator[Entry]:
        marker, count = "", 0
        while True:
            query = {
                "restype": "container",
                "comp": "list",
                "prefix": prefix,
                "maxresults": PAGE,
                "include": "metadata",
            }
            page = self._page(where, {**query, **({"marker": marker} if marker else {})}, prefix)
            if page is None:
                return
            for item in page.iter("Blob"):
                if _is_folder(item):
                    continue
                count += 1
                if count > MOST_ENTRIES:
                    raise Refused("LimitExceeded", f"more than {MOST_ENTRIES} objects are below {prefix!r}")
                yield Entry(item.findtext("Name") or "", int(item.findtext("Properties/Content-Length") or 0))
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    def _page(self, where: Container, query: dict[str, str], prefix: str) -> ElementTree.Element | None:
        """None for a folder that is a file: accounts with hierarchical names call such a prefix an error."""
        try:
            return xml(self._checked(where, "GET", "", query))
        except Refused as error:
            if prefix.endswith("/") and error.code == "BadRequest":
                return None
            raise

    def _checked(
        self, where: Container, method: str, key: str, query: Mapping[str, str],
        headers: Mapping[str, str] | None = None, content: Callable[[], Iterator[bytes]] | None = None, size: int = 0,
    ) -> Reply:  # fmt: skip
        """The whole answer of a call that succeeded; what is a matter of time is tried again."""
        attempt = 0
        while True:
            attempt += 1
            body = (content(), size) if content else None
            reply = whole(self._send(where, method, key, query, headers or {}, body))
            if reply.status < 300:
                return reply
            if reply.status < 500 or attempt == TRIES:
                refuse(where.words, reply, key)

    def _send(
        self, where: Container, method: str, key: str, query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, body: tuple[Iterator[bytes], int] | None = None,
    ) -> httpx.Response:  # fmt: skip
        name = f"/{quote(key, safe='/-_.~')}" if key else ""
        url = f"{where.url}/{where.name}{name}"
        known = {**(headers or {}), "x-ms-version": VERSION, "x-ms-date": format_datetime(self._now(), usegmt=True)}
        if body is not None:
            known |= {"Content-Length": str(body[1]), "Content-Type": "application/octet-stream"}
        known |= authorization(where, method, url, query or {}, known)
        asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in (query or {}).items())
        asked = "&".join(filter(None, (asked, where.sas)))
        return self._upstream.call(method, f"{url}?{asked}" if asked else url, known, body[0] if body else None)


def authorization(
    where: Container, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> dict[str, str]:
    """The header that shows who we are; none without a key or token, for a SAS is part of the query."""
    if where.bearer is not None:
        return {"Authorization": f"Bearer {where.bearer()}"}
    if not where.key:
        return {}
    known = {name.lower(): value for name, value in headers.items()}
    if known.get("content-length") == "0":
        del known["content-length"]
    lines = [method, *(known.get(name, "") for name in SIGNED)]
    lines += [f"{name}:{known[name]}" for name in sorted(known) if name.startswith("x-ms-")]
    lines.append(f"/{where.account}{urlsplit(url).path}")
    lines += [f"{name}:{query[name]}" for name in sorted(query)]
    sign = hmac.new(where.key, "\n".join(lines).encode(), hashlib.sha256).digest()
    return {"Authorization": f"SharedKey {where.account}:{base64.b64encode(sign).decode()}"}


def _is_folder(item: ElementTree.Element) -> bool:
    kind = item.findtext("Properties/ResourceType")
    return kind == "directory" or (item.findtext("Metadata/hdi_isfolder") or "").lower() == "true"
