"""Content-addressed bytes: verified on the way in, published whole or not at all, read in ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ferryml.domain.errors import NotFound, Refused
from ferryml.store.files import scratch, write
from ferryml.store.shelves import FolderShelf, Shelf, open_shelf
from ferryml.store.spool import Spool

QUESTIONS_AT_ONCE = 16
"""Requests to an object store at a time when many digests are asked for."""
NOTHING = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""Digest of no bytes: such an upload is complete before anything was sent."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")


class ContentBlobs:
    """`control.ports.Blobs` over a shelf; what is not finished yet lies in the spool folder of this machine."""

    def __init__(self, shelf: Shelf, spool: Path) -> None:
        self.shelf = shelf
        self._spool = Spool(spool)

    def has(self, digests: Iterable[str]) -> set[str]:
        wanted = list(dict.fromkeys(digests))
        keys = [_key(digest) for digest in wanted]
        if isinstance(self.shelf, FolderShelf) or len(keys) < 2:
            sizes = [self.shelf.size(key) for key in keys]
        else:
            with ThreadPoolExecutor(min(QUESTIONS_AT_ONCE, len(keys))) as pool:
                sizes = list(pool.map(self.shelf.size, keys))
        return {digest for digest, size in zip(wanted, sizes, strict=True) if size is not None}

    def size(self, digest: str) -> int:
        size = self.shelf.size(_key(digest))
        if size is None:
            raise NotFound("BlobMissing", f"{digest} is not stored here.", "Upload it again.")
        return size

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes from `start` up to, not including, `end`, in pieces. Raises NotFound(BlobMissing) at once."""
        size = self.size(digest)
        return self.shelf.read(_key(digest), max(start, 0), size if end is None else min(end, size))

    def put(self, chunks: Iterable[bytes], digest: str | None = None) -> tuple[str, int]:
        with scratch(self._spool.folder) as path:
            found, size = write(path, chunks)
            if digest is not None and found != digest:
                raise Refused(
                    "DigestMismatch",
                    f"The bytes are {found}, not {digest}.",
                    "Send them again; if it persists, check disk and network.",
                )
            if self.shelf.size(_key(found)) is None:
                self.shelf.take(path, _key(found))
        return found, size

    def upload_offset(self, upload: str) -> int:
        return self._spool.offset(upload)

    def upload_append(self, upload: str, offset: int, chunks: Iterable[bytes], limit: int) -> int:
        """`limit` is the most bytes that the whole upload may have. What arrived before a cut connection stays."""
        return self._spool.append(upload, offset, chunks, limit)

    def upload_finish(self, upload: str, digest: str) -> int:
        key = _key(digest)
        if digest == NOTHING:
            self.put([])
        if (size := self.shelf.size(key)) is None:
            part = self._spool.finished(upload, digest)
            size = part.stat().st_size
            self.shelf.take(part, key)
        self._spool.drop(upload)
        return size

    def upload_drop(self, upload: str) -> None:
        self._spool.drop(upload)

    def upload_sweep(self, before: datetime) -> int:
        """Drops uploads that nobody wrote to since then; returns how many."""
        return self._spool.sweep(before)

    def delete(self, digest: str) -> None:
        self.shelf.delete(_key(digest))

    def digests(self) -> Iterator[tuple[str, int]]:
        """Everything stored, with sizes in bytes."""
        for key, size in self.shelf.listing():
            with suppress(ValueError):
                yield _digest(key), size


def open_blobs(url: str, spool: Path | None = None) -> ContentBlobs:
    """`url`: a folder, file://, s3://, gs:// or az://. A folder spools inside itself unless told otherwise."""
    shelf = open_shelf(url)
    if spool is None:
        if not isinstance(shelf, FolderShelf):
            raise Refused("MissingField", "An object store needs a spool folder of this machine for uploads.")
        spool = shelf.root / "spool"
    return ContentBlobs(shelf, spool)


def _key(digest: str) -> str:
    parts = _DIGEST.fullmatch(digest)
    if parts is None:
        raise Refused("BadValue", "A digest is written sha256: and 64 hexadecimal digits in lower case.")
    return f"sha256/{parts[1]}/{parts[2]}"


def _digest(key: str) -> str:
    kind, head, tail = key.split("/")
    digest = f"{kind}:{head}{tail}"
    if not _DIGEST.fullmatch(digest):
        raise ValueError(key)
    return digest
