"""What is known of bytes: logs in chunks, who may see which digest and where it lies, the tree of artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import and_, delete, func, or_, select, update

from ferryml.control.ports import TreeFile
from ferryml.domain.errors import Refused
from ferryml.store.session import Session
from ferryml.store.tables import blobs, log_chunks, log_files, paths

T = TypeVar("T")
CHUNK = 256 * 1024
"""Bytes of one log row at most."""
MANY = 500
"""Values in one IN list at most."""


class Content(Session):
    """Part of `Tx`: logs, blobs and paths."""

    def append_log(self, workspace: str, owner: str, path: str, offset: int, data: bytes) -> int:
        """Two appends to one file take turns: the file's row is locked."""
        self.add(log_files, {"workspace": workspace, "owner": owner, "path": path, "size": 0})
        query = select(log_files.c.id, log_files.c.size).where(_log(workspace, owner, path))
        file, size = self.connection.execute(query.with_for_update() if self.locks else query).one()
        if offset > size:
            raise Refused(
                "OffsetMismatch",
                f"Log {path} of {owner} has {size} bytes, so that nothing can be written at {offset}.",
                "Continue at the offset in the details.",
                {"offset": size},
            )
        fresh = data[size - offset :]
        if not fresh:
            return int(size)
        rows = [
            {"file": file, "offset": size + start, "data": fresh[start : start + CHUNK]}
            for start in range(0, len(fresh), CHUNK)
        ]
        self.connection.execute(log_chunks.insert(), rows)
        self.connection.execute(update(log_files).where(log_files.c.id == file).values(size=size + len(fresh)))
        return int(size) + len(fresh)

    def read_log(self, workspace: str, owner: str, path: str, offset: int, limit: int) -> bytes:
        """Empty past the end and for a file that does not exist."""
        file = self.connection.execute(select(log_files.c.id).where(_log(workspace, owner, path))).scalar()
        if file is None or limit <= 0:
            return b""
        before = select(func.max(log_chunks.c.offset)).where(
            log_chunks.c.file == file, log_chunks.c.offset <= max(offset, 0)
        )
        query = (
            select(log_chunks.c.offset, log_chunks.c.data)
            .where(
                log_chunks.c.file == file,
                log_chunks.c.offset >= before.scalar_subquery(),
                log_chunks.c.offset < offset + limit,
            )
            .order_by(log_chunks.c.offset)
        )
        chunks = self.connection.execute(query).all()
        if not chunks:
            return b""
        skipped = max(offset, 0) - chunks[0][0]
        return b"".join(bytes(data) for _, data in chunks)[skipped : skipped + limit]

    def list_logs(self, workspace: str, owner: str) -> list[tuple[str, int]]:
        """(path, size in bytes), by path."""
        query = (
            select(log_files.c.path, log_files.c.size)
            .where(log_files.c.workspace == workspace, log_files.c.owner == owner)
            .order_by(log_files.c.path)
        )
        return [(path, size) for path, size in self.connection.execute(query)]

    def delete_logs(self, workspace: str, owner: str) -> int:
        """All files of the owner, with their bytes; how many."""
        here = and_(log_files.c.workspace == workspace, log_files.c.owner == owner)
        files = [file for (file,) in self.connection.execute(select(log_files.c.id).where(here))]
        for some in _slices(files):
            self.connection.execute(delete(log_chunks).where(log_chunks.c.file.in_(some)))
        return self.connection.execute(delete(log_files).where(here)).rowcount

    def link_blob(self, workspace: str, digest: str, size: int, place: str = "") -> None:
        self.add(blobs, {"workspace": workspace, "digest": digest, "place": place, "size": size})

    def blob_places(self, workspace: str, digests: Iterable[str]) -> dict[str, tuple[int, tuple[str, ...]]]:
        """digest -> (size in bytes, places); what the workspace may not see is left out."""
        found: dict[str, tuple[int, tuple[str, ...]]] = {}
        for some in _slices(list(digests)):
            query = (
                select(blobs.c.digest, blobs.c.size, blobs.c.place)
                .where(blobs.c.workspace == workspace, blobs.c.digest.in_(some))
                .order_by(blobs.c.digest, blobs.c.place)
            )
            for digest, size, place in self.connection.execute(query):
                found[digest] = (size, (*found.get(digest, (0, ()))[1], place))
        return found

    def put_path(self, workspace: str, path: str, digest: str, size: int) -> None:
        self.put(paths, {"workspace": workspace, "path": path}, {"digest": digest, "size": size})

    def paths(self, workspace: str, prefix: str) -> list[TreeFile]:
        """The file at `prefix` or all files in the folder of that name, by path; an empty prefix means everything."""
        query = (
            select(paths.c.path, paths.c.digest, paths.c.size).where(_below(workspace, prefix)).order_by(paths.c.path)
        )
        return [TreeFile(path=path, digest=digest, size=size) for path, digest, size in self.connection.execute(query)]

    def delete_paths(self, workspace: str, prefix: str) -> int:
        """The same files that `paths` lists; returns how many."""
        return self.connection.execute(delete(paths).where(_below(workspace, prefix))).rowcount


def _log(workspace: str, owner: str, path: str) -> Any:
    return and_(log_files.c.workspace == workspace, log_files.c.owner == owner, log_files.c.path == path)


def _below(workspace: str, prefix: str) -> Any:
    here = paths.c.workspace == workspace
    folder = prefix.rstrip("/")
    if not folder:
        return here
    # "0" is the character after "/": a range of the index instead of a pattern that users could write into.
    inside = and_(paths.c.path >= f"{folder}/", paths.c.path < f"{folder}0")
    return and_(here, inside if prefix != folder else or_(inside, paths.c.path == folder))


def _slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), MANY):
        yield values[start : start + MANY]
