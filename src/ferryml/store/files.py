"""Bytes on a disk that survive what can happen: written aside, synced, renamed; a full disk leaves nothing half."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ferryml.domain.errors import Unavailable

PIECE = 1024 * 1024
"""Bytes in memory at a time."""


def pieces(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start` up to, not including, `end`."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = None if end is None else max(end - start, 0)
        while piece := file.read(PIECE if left is None else min(PIECE, left)):
            left = None if left is None else left - len(piece)
            yield piece


def digest_of(path: Path) -> str:
    seen = sha256()
    for piece in pieces(path):
        seen.update(piece)
    return f"sha256:{seen.hexdigest()}"


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new file in `folder` that is removed afterwards unless it was renamed away."""
    private_folder(folder)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def write(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Replaces what is in `path`; returns (digest, size in bytes)."""
    seen, size = sha256(), 0
    with disk_full(), path.open("wb") as file:
        for chunk in chunks:
            seen.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return f"sha256:{seen.hexdigest()}", size


def move_into_place(source: Path, target: Path) -> None:
    """Afterwards `target` is whole, on the disk itself, whatever happens next; `source` is gone."""
    with disk_full():
        private_folder(target.parent)
        sync_file(source)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with scratch(target.parent) as copy:
                shutil.copyfile(source, copy)
                sync_file(copy)
                copy.replace(target)
            source.unlink(missing_ok=True)
        sync_folder(target.parent)


def private_folder(folder: Path) -> None:
    """Makes a folder, and those above it, for the owner alone; new names are on the disk."""
    if folder.is_dir():
        return
    private_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_full() -> Iterator[None]:
    """Says DiskFull instead of ENOSPC and quota errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Unavailable(
                "DiskFull", "The disk has no room left for these bytes.", "Free space, then try again."
            ) from error
        raise
