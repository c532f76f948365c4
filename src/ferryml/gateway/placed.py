"""Files at places of datastores that the gateway itself reads and writes: in buckets, or in folders of its machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ferryml.compile.tree import check_path
from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.objects import MOST_ENTRIES, Entry, Shelf
from ferryml.gateway.upstream import BLOCK, pieces

Shelves = Callable[[DatastorePath, str], Shelf[Any]]
"""(place, workspace) -> its bucket or container, with its credentials."""
NO_SPACE = 28


class Placed:
    """
    Args:
        shelves: None on a local site, which has folders and no buckets.
    """

    def __init__(self, shelves: Shelves | None = None) -> None:
        self._shelves = shelves

    def entries(self, place: DatastorePath, workspace: str) -> list[Entry]:
        """What lies there; one entry with the path "" when it is a single file.

        Raises NotFound, Refused, Unavailable.
        """
        if self._shelves is not None:
            return self._shelves(place, workspace).list(object_name(place, ""))
        return _listed(_within(place, ""), place)

    def read(self, place: DatastorePath, workspace: str, path: str) -> Iterator[bytes]:
        """One of its files, in blocks; "" is the place itself."""
        if self._shelves is None:
            yield from _blocks(_within(place, path), place)
            return
        answer = self._shelves(place, workspace).read(object_name(place, path), {})
        try:
            yield from pieces(answer)
        finally:
            answer.close()

    def write(self, place: DatastorePath, workspace: str, path: str, file: Path) -> None:
        """Puts a file there, whole or not at all; what had its name is replaced."""
        if self._shelves is not None:
            self._shelves(place, workspace).write(object_name(place, path), file)
            return
        target = _within(place, check_path(path))
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, part)
            part.replace(target)
        except OSError as error:
            words = f"datastore {place.datastore!r} does not take {path}: {error.strerror}"
            raise Unavailable("DiskFull" if error.errno == NO_SPACE else "Unavailable", words) from error


def object_name(place: DatastorePath, path: str) -> str:
    """The object's name in its bucket. Raises Refused(PathEscapes)."""
    if path:
        check_path(path)
    prefix = place.root.partition("://")[2].partition("/")[2]
    return "/".join(part.strip("/") for part in (prefix, place.path, path) if part.strip("/"))


def _within(place: DatastorePath, path: str) -> Path:
    """On this machine. Data may hold links to anywhere: what leads out of the datastore is refused."""
    if place.kind != "local":
        words = f"this site cannot reach datastore {place.datastore!r} of type {place.kind}"
        raise Refused("NotSupported", words, "Use a datastore of type local, or an uploaded asset.")
    root = Path(os.path.realpath(place.root))
    inside = "/".join(part.strip("/") for part in (place.path, path) if part.strip("/"))
    target = Path(os.path.realpath(root / (check_path(inside) if inside else "")))
    if target != root and root not in target.parents:
        raise Refused("PathEscapes", f"{inside[:200]!r} leads out of datastore {place.datastore!r}")
    return target


def _listed(top: Path, place: DatastorePath) -> list[Entry]:
    if top.is_file():
        return [Entry("", top.stat().st_size)]
    if not top.is_dir():
        raise NotFound("NotFound", f"there is nothing at {place.path!r} of datastore {place.datastore!r}")
    root = Path(os.path.realpath(place.root))
    found: list[Entry] = []
    for folder, names, files in os.walk(top):
        names.sort()
        for name in sorted(files):
            file = Path(folder, name)
            real = Path(os.path.realpath(file))
            if real.is_file() and root in real.parents:
                found.append(Entry(file.relative_to(top).as_posix(), real.stat().st_size))
            if len(found) > MOST_ENTRIES:
                raise Refused("LimitExceeded", f"{place.path!r} holds more than {MOST_ENTRIES} files")
    return found


def _blocks(file: Path, place: DatastorePath) -> Iterator[bytes]:
    try:
        with file.open("rb") as source:
            while block := source.read(BLOCK):
                yield block
    except OSError as error:
        words = f"{place.path!r} of datastore {place.datastore!r} cannot be read: {error.strerror}"
        raise Unavailable("Unavailable", words) from error
