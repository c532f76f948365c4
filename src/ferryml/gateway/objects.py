"""What all object stores have in common here: entries, whole answers, refusals in words, files in slices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, Protocol, TypeVar
from xml.etree import ElementTree

import httpx

from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.gateway.upstream import BLOCK

MOST_ENTRIES = 200_000
PAGE_LIMIT = 16 << 20
TRIES = 4
W = TypeVar("W")
W_contra = TypeVar("W_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """An object below a prefix."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole of a short answer."""

    status: int
    tag: str
    body: bytes


class ObjectStore(Protocol[W_contra]):
    """A service that keeps objects. Nothing holds a whole object in memory.

    Raises NotFound, Refused when the service says no, Unavailable when it may say yes later.
    """

    def list(self, where: W_contra, prefix: str) -> list[Entry]:
        """Everything below `prefix` (a folder), or the one object of that name with the path ""."""

    def read(self, where: W_contra, key: str, headers: Mapping[str, str]) -> httpx.Response:
        """The object with its body still to be read; the caller closes it. `headers` may hold Range and If-Match."""

    def write(self, where: W_contra, key: str, file: Path) -> None:
        """Puts a file of any size."""


@dataclass(frozen=True, slots=True)
class Shelf(Generic[W]):
    """A bucket or container of one service, with who we are there."""

    store: ObjectStore[W]
    where: W

    def list(self, prefix: str) -> list[Entry]:
        """See ObjectStore."""
        return self.store.list(self.where, prefix)

    def read(self, key: str, headers: Mapping[str, str]) -> httpx.Response:
        """See ObjectStore."""
        return self.store.read(self.where, key, headers)

    def write(self, key: str, file: Path) -> None:
        """See ObjectStore."""
        self.store.write(self.where, key, file)


def listed(pages: Callable[[str], Iterator[Entry]], prefix: str, place: str) -> list[Entry]:
    """The objects below a folder, else the object of that name; `pages` gives all whose names begin with a text."""
    name = prefix.strip("/")
    folder = f"{name}/" if name else ""
    found = [entry for entry in pages(folder) if not entry.path.endswith("/") and entry.path != folder]
    if found:
        return [Entry(entry.path[len(folder) :], entry.size) for entry in found]
    own = [entry for entry in pages(name) if entry.path == name]
    if not own:
        raise NotFound("NotFound", f"there is nothing at {prefix[:200]!r} of {place}")
    return [Entry("", own[0].size)]


def slice_of(file: Path, offset: int, size: int) -> Iterator[bytes]:
    """A part of a file, block by block."""
    with open(file, "rb") as source:
        source.seek(offset)
        while size:
            block = source.read(min(BLOCK, size))
            if not block:
                return
            size -= len(block)
            yield block


def whole(response: httpx.Response) -> Reply:
    """Reads and closes an answer that is short by its nature."""
    body = b""
    try:
        for piece in response.iter_bytes(BLOCK):
            body += piece
            if len(body) > PAGE_LIMIT:
                break
    except httpx.HTTPError as error:
        raise Unavailable("Unavailable", f"the transfer broke off: {error}") from error
    finally:
        response.close()
    return Reply(response.status_code, response.headers.get("ETag", ""), body)


def refuse(place: str, reply: Reply, key: str) -> NoReturn:
    """What a service said no to, as one of our errors; `place` names it in words."""
    found = re.search(rb"<Code>([A-Za-z]+)</Code>", reply.body[:4096])
    why = f"{place} answers {reply.status} {found[1].decode() if found else ''}".rstrip()
    if reply.status == 404:
        raise NotFound("NotFound", f"{key[:200]!r}: {why}")
    if reply.status >= 500 or reply.status in (408, 429) or reply.status < 300:
        raise Unavailable("Unavailable", why)
    hint = "IT: check the datastore's secret_ref and that the site may read it." if reply.status in (401, 403) else ""
    raise Refused("Forbidden" if reply.status in (401, 403) else "BadRequest", why, hint)


def xml(reply: Reply) -> ElementTree.Element:
    """Without namespaces: services differ in them."""
    body = reply.body
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unavailable("Unavailable", "the bucket answered with something else than a list")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  document types, through which entities come, are refused above
    except ElementTree.ParseError as error:
        raise Unavailable("Unavailable", "the bucket answered with something else than a list") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
