"""The site store: bytes by digest on the site's own disk, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ferryml.domain.errors import FerryError, NotFound, Refused, Unavailable

BLOCK = 1 << 20
HEX = 64


class SiteStore:
    """Content-addressed files below `root`; partial downloads survive a restart and go on where they stopped.

    Args:
        min_free_bytes: free disk below which nothing more is accepted; 0: no limit.
    """

    def __init__(self, root: Path, min_free_bytes: int, new_id: Callable[[], str]) -> None:
        self._blobs, self._drafts = root / "blobs", root / "drafts"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._drafts.mkdir(parents=True, exist_ok=True)
        self._min_free, self._new_id = min_free_bytes, new_id
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        for left in self._drafts.glob("put-*"):
            left.unlink(missing_ok=True)

    def has(self, digest: str) -> bool:
        return self._path(digest).exists()

    def path(self, digest: str) -> Path:
        """Where the verified bytes are. Raises NotFound(BlobMissing)."""
        path = self._path(digest)
        try:
            os.utime(path)  # what is used stays longest
        except FileNotFoundError as error:
            raise NotFound("BlobMissing", f"{digest} is not in the site store") from error
        return path

    def size(self, digest: str) -> int:
        return self.path(digest).stat().st_size

    def read(self, digest: str, limit: int) -> bytes:
        """The whole of a small file. Raises Refused(LimitExceeded) above `limit` bytes."""
        path = self.path(digest)
        if path.stat().st_size > limit:
            raise Refused("LimitExceeded", f"{digest} is larger than {limit} bytes")
        return path.read_bytes()

    def put(self, chunks: Iterable[bytes], digest: str | None = None) -> tuple[str, int]:
        """Stores; returns (digest, size). Raises Refused(DigestMismatch), Unavailable(DiskFull)."""
        with self.draft() as draft:
            for chunk in chunks:
                draft.write(chunk)
            return draft.publish(digest)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A file being received; gone unless published."""
        path = self._drafts / f"put-{self._new_id()}"
        draft = Draft(self, path)
        try:
            yield draft
        finally:
            draft.close()
            path.unlink(missing_ok=True)

    def fetch(self, digest: str, source: Callable[[int], Iterator[bytes]]) -> Path:
        """The bytes, from `source(offset)` if they are not here: once for all who ask at the same time.

        Raises Unavailable(DigestMismatch) when what came is something else: it is thrown away and asked for anew.
        """
        with self._guard:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            if not self.has(digest):
                self._receive(digest, source)
        with self._guard:
            self._locks.pop(digest, None)
        return self.path(digest)

    def fetched(self, digest: str) -> int:
        """Bytes of an unfinished download so far."""
        draft = self._partial(digest)
        return draft.stat().st_size if draft.exists() else 0

    def check_room(self) -> None:
        """Raises Unavailable(DiskFull) below the limit."""
        if self._min_free and shutil.disk_usage(self._drafts).free < self._min_free:
            raise Unavailable(
                "DiskFull",
                f"less than {self._min_free} bytes are free on the site's disk",
                "Free space, or lower min_free_disk_bytes of the site.",
            )

    def publish(self, draft: Path, digest: str) -> None:
        """Moves a verified, synced file into place."""
        target = self._path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(draft, target)

    def trim(self, limit: int, pinned: Collection[str]) -> int:
        """Removes what was used least until `limit` bytes are left; never what is pinned. Returns bytes freed."""
        files = [(path.stat(), path) for path in self._blobs.glob("*/*")]
        total, freed = sum(stat.st_size for stat, _ in files), 0
        for stat, path in sorted(files, key=lambda item: item[0].st_mtime):
            if total - freed <= limit:
                break
            if f"sha256:{path.name}" not in pinned:
                path.unlink(missing_ok=True)
                freed += stat.st_size
        return freed

    def _receive(self, digest: str, source: Callable[[int], Iterator[bytes]]) -> None:
        self.check_room()
        partial = self._partial(digest)
        hasher, offset = hashlib.sha256(), 0
        with translated(), open(partial, "ab+") as file:
            file.seek(0)
            while block := file.read(BLOCK):
                hasher.update(block)
                offset += len(block)
            for chunk in source(offset):
                file.write(chunk)
                hasher.update(chunk)
            file.flush()
            os.fsync(file.fileno())
        if f"sha256:{hasher.hexdigest()}" != digest:
            partial.unlink(missing_ok=True)
            raise Unavailable("DigestMismatch", f"{digest} arrived damaged", "It is fetched again.")
        self.publish(partial, digest)

    def _partial(self, digest: str) -> Path:
        return self._drafts / f"get-{_hex(digest)}"

    def _path(self, digest: str) -> Path:
        name = _hex(digest)
        return self._blobs / name[:2] / name


class Draft:
    """Bytes on their way in, hashed as they come."""

    def __init__(self, store: SiteStore, path: Path) -> None:
        self._store, self._path = store, path
        store.check_room()
        self._hash = hashlib.sha256()
        self.size = 0
        with translated():
            self._file: IO[bytes] = open(path, "wb")  # noqa: SIM115  closed by SiteStore.draft

    def write(self, chunk: bytes) -> None:
        if self.size // (64 * BLOCK) != (self.size + len(chunk)) // (64 * BLOCK):
            self._store.check_room()
        with translated():
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def publish(self, digest: str | None = None) -> tuple[str, int]:
        """Raises Refused(DigestMismatch) when `digest` is given and another."""
        found = f"sha256:{self._hash.hexdigest()}"
        if digest is not None and digest != found:
            raise Refused("DigestMismatch", f"the bytes are {found}, not {digest}", "Send them again.")
        with translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._store.publish(self._path, found)
        return found, self.size

    def finished(self) -> Path:
        """Where the bytes are, all of them, for as long as the draft lives."""
        with translated():
            self._file.flush()
        return self._path

    def close(self) -> None:
        self._file.close()


@contextmanager
def translated() -> Iterator[None]:
    """A full disk is a matter of time; nothing half written is ever published."""
    try:
        yield
    except FerryError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("DiskFull", "the site's disk is full", "Free space on the site's disk.") from error
        raise Unavailable("Unavailable", f"the site store cannot be written: {error.strerror}") from error


def _hex(digest: str) -> str:
    kind, _, name = digest.partition(":")
    if kind != "sha256" or len(name) != HEX or set(name) - set("0123456789abcdef"):
        raise Refused("BadValue", f"{digest[:100]!r} is not a digest", "Digests are sha256: and 64 hex digits.")
    return name
