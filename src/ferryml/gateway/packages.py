"""Package index and conda channels of a site, as pods see them: through this door, every file once, by its digest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from ferryml.domain.errors import NotFound, Refused, TooLarge, Unavailable
from ferryml.gateway.database import Database
from ferryml.gateway.links import JSON_KIND, Linked, Links
from ferryml.gateway.store import SiteStore
from ferryml.gateway.upstream import BLOCK, Upstream, pieces

PAGE_LIMIT = 64 << 20
ACCEPT = f"{JSON_KIND}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PROJECT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$")
_SEGMENT = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._+!=~-]{0,250}$")
_LASTING = (".conda", ".tar.bz2")


@dataclass(frozen=True, slots=True)
class Found:
    """One of `path` and `stream` is what the pod gets."""

    path: Path | None = None
    stream: Iterator[bytes] | None = None
    size: str = ""
    kind: str = "application/octet-stream"
    close: Callable[[], None] = lambda: None
    """For whoever does not want the stream after all."""


class Packages:
    """
    Args:
        index: address of the site's package index, `https://HOST/simple`; empty: there is none.
        channels: address below which conda channels are; empty: there are none.
    """

    def __init__(
        self, db: Database, store: SiteStore, upstream: Upstream, links: Links, index: str, channels: str
    ) -> None:
        self._db, self._store, self._upstream, self._links = db, store, upstream, links
        self._index, self._channels = index.rstrip("/"), channels.rstrip("/")

    @property
    def has_channels(self) -> bool:
        return bool(self._channels)

    def page(self, project: str) -> tuple[bytes, str]:
        """(body, content type) of a project's page. Raises Unavailable, NotFound, Refused."""
        if not self._index:
            raise Refused(
                "NotSupported", "this site has no package index", "IT: set package_index of the site to one it reaches."
            )
        if not _PROJECT.match(project):
            raise NotFound("NotFound", f"{project[:100]!r} is no project")
        with self._upstream.get(f"{self._index}/{project}/", self._index, {"Accept": ACCEPT}) as said:
            kind = said.headers.get("Content-Type", "text/html")
            body = _whole(said)
            json = kind.partition(";")[0].strip() == JSON_KIND
            return self._links.page(body, kind, str(said.url)), JSON_KIND if json else "text/html"

    def file(self, signature: str, said: str, name: str) -> Found:
        """A file that a page has named. Raises Forbidden for others."""
        linked = self._links.open(signature, said, name)
        return self._fetched(linked, self._index, lasting=True)

    def conda(self, path: str) -> Found:
        """`CHANNEL/SUBDIR/FILE` of the site's channels."""
        if not self._channels:
            raise Refused(
                "NotSupported", "this site has no conda channels", "IT: set conda_channel of the site to their address."
            )
        if not all(_SEGMENT.match(part) for part in path.split("/")):
            raise NotFound("NotFound", f"{path[:100]!r} is in no channel")
        linked = Linked(f"{self._channels}/{quote(path, safe='/+!=~')}")
        return self._fetched(linked, self._channels, lasting=path.endswith(_LASTING))

    def _fetched(self, linked: Linked, home: str, lasting: bool) -> Found:
        digest = f"sha256:{linked.sha256}" if linked.sha256 else self._known(linked.url) if lasting else ""
        if digest and self._store.has(digest):
            return Found(path=self._store.path(digest))
        stack = ExitStack()
        try:
            answer = stack.enter_context(self._upstream.get(linked.url, home))
        except BaseException:
            stack.close()
            raise
        kind = answer.headers.get("Content-Type", "application/octet-stream")
        stream = self._through(answer, linked, stack) if lasting else _plain(answer, stack)
        return Found(stream=stream, size=answer.headers.get("Content-Length", ""), kind=kind, close=stack.close)

    def _through(self, answer: httpx.Response, linked: Linked, stack: ExitStack) -> Iterator[bytes]:
        """To the pod and into the store at once. The last piece is held back until all of it has proved right."""
        with stack, self._store.draft() as draft:
            held = b""
            for piece in pieces(answer):
                draft.write(piece)
                if held:
                    yield held
                held = piece
            digest, _ = draft.publish(f"sha256:{linked.sha256}" if linked.sha256 else None)
            if not linked.sha256:
                self._db.run("REPLACE INTO files VALUES (?, ?)", linked.url, digest)
            yield held

    def _known(self, url: str) -> str:
        row = self._db.row("SELECT digest FROM files WHERE url = ?", url)
        return str(row[0]) if row else ""


def _plain(answer: httpx.Response, stack: ExitStack) -> Iterator[bytes]:
    with stack:
        yield from pieces(answer)


def _whole(answer: httpx.Response) -> bytes:
    body = b""
    try:
        for piece in answer.iter_bytes(BLOCK):
            body += piece
            if len(body) > PAGE_LIMIT:
                raise TooLarge("LimitExceeded", f"the page is larger than {PAGE_LIMIT} bytes")
    except httpx.HTTPError as error:
        raise Unavailable("Unavailable", f"the transfer broke off: {error}") from error
    return body
