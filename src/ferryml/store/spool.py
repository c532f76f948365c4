"""Unfinished uploads, kept as files of this machine, so that a cut connection goes on where it stopped."""

from __future__ import annotations

import fcntl
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from ferryml.domain.errors import Conflict, NotFound, Refused, TooLarge, Unavailable
from ferryml.store.files import digest_of, disk_full, private_folder

HASHES = 1000
"""Running hashes kept in memory; an upload beyond is read once more at its end."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Spool:
    """Parts by upload id. One writer an upload; bytes that arrived before a cut stay, those of a full disk do not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hashes: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._guard = threading.Lock()

    def offset(self, upload: str) -> int:
        try:
            return self._part(upload).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, upload: str, offset: int, chunks: Iterable[bytes], limit: int) -> int:
        with self._open(upload) as file:
            size = file.seek(0, 2)
            if offset != size:
                raise Refused(
                    "OffsetMismatch",
                    f"The upload has {size} bytes, so that nothing can be written at {offset}.",
                    "Continue at the offset in the details.",
                    {"offset": size},
                )
            return self._write(upload, file, size, chunks, limit)

    def finished(self, upload: str, digest: str) -> Path:
        """The part, verified. Raises Refused(DigestMismatch) and forgets it when it is something else."""
        part = self._part(upload)
        if not part.exists():
            raise NotFound("BlobMissing", "No such upload; it may have expired.", "Start the upload again.")
        found = self._digest(upload, part)
        if found != digest:
            self.drop(upload)
            raise Refused(
                "DigestMismatch",
                f"The uploaded bytes are {found}, not {digest}.",
                "Send them again; if it persists, check disk and network.",
            )
        return part

    def drop(self, upload: str) -> None:
        self._part(upload).unlink(missing_ok=True)
        with self._guard:
            self._hashes.pop(upload, None)

    def sweep(self, before: datetime) -> int:
        """Drops uploads that nobody wrote to since then; returns how many."""
        stale = [path for path in self.folder.glob("*.part") if path.stat().st_mtime < before.timestamp()]
        for path in stale:
            self.drop(path.stem)
        return len(stale)

    def _write(self, upload: str, file: IO[bytes], start: int, chunks: Iterable[bytes], limit: int) -> int:
        size, seen = start, self._running(upload, start)
        whole = False
        try:
            for chunk in chunks:
                if size + len(chunk) > limit:
                    raise _too_large(limit)
                with disk_full():
                    _write_all(file, chunk)
                size += len(chunk)
                if seen is not None:
                    seen.update(chunk)
            whole = True
        except (TooLarge, Unavailable):
            size = start
            raise
        finally:
            # A cut connection keeps what came through; a piece that the disk took only partly goes.
            if not whole:
                file.truncate(size)
            if seen is not None and size != start:
                self._keep(upload, size, seen)
        return size

    def _running(self, upload: str, size: int) -> Any:
        """A copy of the hash of the first `size` bytes, if it is known."""
        if size == 0:
            return sha256()
        with self._guard:
            known = self._hashes.get(upload)
        return known[1].copy() if known is not None and known[0] == size else None

    def _keep(self, upload: str, size: int, seen: Any) -> None:
        with self._guard:
            self._hashes[upload] = (size, seen)
            self._hashes.move_to_end(upload)
            while len(self._hashes) > HASHES:
                self._hashes.popitem(last=False)

    def _digest(self, upload: str, part: Path) -> str:
        seen = self._running(upload, part.stat().st_size)
        return digest_of(part) if seen is None else f"sha256:{seen.hexdigest()}"

    @contextmanager
    def _open(self, upload: str) -> Iterator[IO[bytes]]:
        part = self._part(upload)
        with disk_full():
            private_folder(self.folder)
            file = part.open("ab", buffering=0)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    "OperationInProgress",
                    "Another connection is writing to this upload.",
                    "Ask for the offset in a moment and continue there.",
                ) from error
            yield file

    def _part(self, upload: str) -> Path:
        if not _ID.fullmatch(upload):
            raise Refused("BadName", "An upload's id has 1 to 128 letters, digits, - or _.")
        return self.folder / f"{upload}.part"


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        "UploadTooLarge",
        f"The upload is larger than {limit} bytes.",
        "Raise max_upload_bytes on the server, or use a datastore.",
    )


def _write_all(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
