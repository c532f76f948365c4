"""A folder as one archive and back: the same folder gives the same bytes, and no archive writes outside its folder."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zlib

from ferryml.runner.line import BLOCK
from ferryml.runner.stage import Escapes, check_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

MADE = 946_684_800
"""Time of change of everything, 2000-01-01: compiled Python files name the time of their source."""
WINDOW = 1 << 16
"""Bytes that tarfile holds at a time; it copies what it holds for each member, and most members are small."""
LEVEL = 1
"""Environments are large and are packed while somebody waits; more would save little."""


def pack(folder: str, target: str) -> str:
    """Writes `folder` as tar.gz to `target`; returns its digest."""
    with open(target, "wb") as plain:
        hashed = _Hashed(plain)
        packed = gzip.GzipFile("", "wb", LEVEL, hashed, 0)
        with packed, tarfile.open(mode="w|", fileobj=packed, format=tarfile.PAX_FORMAT, bufsize=WINDOW) as tar:
            for path in _members(folder):
                _add(tar, path, os.path.relpath(path, folder))
    return "sha256:" + hashed.hash.hexdigest()


def unpack(source: IO[bytes], folder: str) -> int:
    """Fills an empty `folder`; returns the bytes that its files hold.

    Raises:
        Escapes: a member is no file, folder or link, or would be written outside of `folder`.
        ValueError: it is damaged.
    """
    try:
        return _unpack(source, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"the archive is damaged: {error}") from error


def _unpack(source: IO[bytes], folder: str) -> int:
    size = 0
    folder = os.path.realpath(folder)
    known = {folder}
    with tarfile.open(mode="r|gz", fileobj=source, bufsize=WINDOW) as tar:
        for member in tar:
            path = os.path.join(folder, check_path(member.name))
            _check_parent(os.path.dirname(path), folder, known)
            if os.path.lexists(path) and not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
                raise Escapes(f"{member.name[:200]!r} is in the archive twice")
            if member.isdir():
                os.makedirs(path, exist_ok=True)
            elif member.issym():
                os.symlink(member.linkname, path)
            elif member.isfile():
                size += _write(tar, member, path)
            else:
                raise Escapes(f"{member.name[:200]!r} is neither file, folder nor link")
    return size


def _members(folder: str) -> list[str]:
    found = []
    for top, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        plain = [name for name in folders if name not in links]
        found += [os.path.join(top, name) for name in sorted([*names, *links, *plain])]
    return [path for path in found if os.path.islink(path) or os.path.isfile(path) or os.path.isdir(path)]


def _add(tar: tarfile.TarFile, path: str, name: str) -> None:
    """Nothing of who made it, and when; hard links become files of their own."""
    member = tarfile.TarInfo(name)
    member.mtime = MADE
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
    elif stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o775
    else:
        member.size, member.mode = found.st_size, 0o775 if found.st_mode & 0o100 else 0o664
        with open(path, "rb") as file:
            tar.addfile(member, file)
        return
    tar.addfile(member)


def _check_parent(parent: str, folder: str, known: set[str]) -> None:
    """Makes the folder, one part after the other: none may be a link."""
    if parent in known:
        return
    _check_parent(os.path.dirname(parent), folder, known)
    if os.path.islink(parent) or not (os.path.isdir(parent) or not os.path.lexists(parent)):
        raise Escapes(f"{os.path.relpath(parent, folder)[:200]!r} leads out of its folder")
    if not os.path.lexists(parent):
        os.mkdir(parent)
    known.add(parent)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> int:
    content = tar.extractfile(member)
    assert content is not None  # noqa: S101 - it is a file; this tells the type checker
    with open(path, "xb") as file:
        shutil.copyfileobj(content, file, BLOCK)
    os.chmod(path, 0o775 if member.mode & 0o100 else 0o664)
    os.utime(path, (MADE, MADE))
    return member.size


class _Hashed:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
