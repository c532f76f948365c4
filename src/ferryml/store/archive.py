"""A backup as a folder or one tar file: members in pieces, written aside and named at the very end."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from ferryml.domain.errors import Conflict, NotFound, Refused
from ferryml.store.files import PIECE, disk_full, pieces, private_folder, sync_file, sync_folder, write

TAR = (".tar",)


class Writer(Protocol):
    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> str:
        """Writes one member of exactly `size` bytes; returns its digest."""


class Reader(Protocol):
    def size(self, name: str) -> int | None:
        """Bytes; None when there is no such plain file."""

    def read(self, name: str) -> Iterator[bytes]: ...


@contextmanager
def new_archive(target: Path) -> Iterator[Writer]:
    """A tar file when the name ends in .tar, else a folder; for its owner alone. It exists whole or not at all."""
    if target.exists():
        raise Conflict("AlreadyExists", f"{target} exists already.", "Name a new file or folder for the backup.")
    private_folder(target.absolute().parent)
    unfinished = target.with_name(f".{target.name}.unfinished")
    _remove(unfinished)
    try:
        with disk_full():
            if target.suffix in TAR:
                yield from _new_tar(unfinished)
            else:
                unfinished.mkdir(mode=0o700)
                yield _FolderWriter(unfinished)
            unfinished.rename(target)
            sync_folder(target.absolute().parent)
    finally:
        _remove(unfinished)


@contextmanager
def open_archive(source: Path) -> Iterator[Reader]:
    if not source.exists():
        raise NotFound("FileNotFound", f"{source} does not exist.", "Name the folder or .tar file of a backup.")
    if source.is_dir():
        yield _FolderReader(source)
        return
    try:
        tar = tarfile.open(source, "r:")  # noqa: SIM115  # closed below; only opening it may fail like this
    except tarfile.TarError as error:
        raise Refused("BackupDamaged", f"{source} is not a whole tar file.", "Use another backup.") from error
    with tar:
        yield _TarReader(tar)


def _new_tar(path: Path) -> Iterator[Writer]:
    path.touch(mode=0o600)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        yield _TarWriter(tar)
    sync_file(path)


class _FolderWriter:
    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> str:
        path = self._root / name
        private_folder(path.parent)
        digest, written = write(path, chunks)
        _same(name, size, written)
        path.chmod(0o600)
        sync_file(path)
        return digest


class _TarWriter:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> str:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        stream = _Stream(chunks)
        try:
            self._tar.addfile(member, stream)
        except OSError as error:
            # What tarfile says when the source ends early; real errors of the disk have a number.
            if error.errno is not None:
                raise
        stream.read(1)
        _same(name, size, stream.given)
        return f"sha256:{stream.seen.hexdigest()}"


class _Stream(io.RawIOBase):
    """Chunks as a file, counting and hashing what is taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._rest = b""
        self.seen = sha256()
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted > 0:
            self._rest = self._rest or next(self._chunks, b"")
            if not self._rest:
                break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        data = b"".join(parts)
        self.seen.update(data)
        self.given += len(data)
        return data


class _FolderReader:
    def __init__(self, root: Path) -> None:
        self._root = root

    def size(self, name: str) -> int | None:
        path = self._root / name
        return path.stat().st_size if path.is_file() and not path.is_symlink() else None

    def read(self, name: str) -> Iterator[bytes]:
        return pieces(self._root / name)


class _TarReader:
    """Members are read in place by name and never unpacked, so that no name in the file can lead anywhere."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        try:
            self._members = {member.name: member for member in tar if member.isreg()}
        except (tarfile.TarError, EOFError) as error:
            raise Refused("BackupDamaged", "The tar file ends too early.", "Use another backup.") from error

    def size(self, name: str) -> int | None:
        member = self._members.get(name)
        return None if member is None else member.size

    def read(self, name: str) -> Iterator[bytes]:
        file = self._tar.extractfile(self._members[name])
        if file is None:
            return
        with file:
            try:
                while piece := file.read(PIECE):
                    yield piece
            except (tarfile.TarError, EOFError) as error:
                raise Refused("BackupDamaged", "The tar file ends too early.", "Use another backup.") from error


def _same(name: str, size: int, written: int) -> None:
    if size != written:
        raise Conflict("VersionConflict", f"{name} changed while it was copied.", "Make the backup again.")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
