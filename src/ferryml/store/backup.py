"""The whole memory of a server in one folder or tar file, and back: databases, artifacts, key files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ferryml.domain.errors import Conflict, Refused
from ferryml.store import dumps
from ferryml.store.archive import Reader, Writer, new_archive, open_archive
from ferryml.store.blobs import ContentBlobs
from ferryml.store.database import open_store
from ferryml.store.engines import sqlite_file
from ferryml.store.files import move_into_place, pieces, private_folder, write

MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1024 * 1024 * 1024
_NAME = re.compile(r"(databases|files)/[A-Za-z0-9][A-Za-z0-9_.-]*|blobs/sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class State:
    """What a server remembers.

    Args:
        databases: name -> SQLAlchemy URL; `ferry` is the store, others (`mlflow`) are copied as they are.
        blobs: the artifact store.
        files: name -> path of small files such as the encryption key.
    """

    databases: Mapping[str, str]
    blobs: ContentBlobs
    files: Mapping[str, Path]


class Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    digest: str
    size: int
    """Bytes."""


class Manifest(BaseModel):
    """What a backup holds; a backup without it, or with other bytes, is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 1
    made_at: datetime
    members: tuple[Member, ...]


def backup(state: State, target: Path, now: datetime) -> Manifest:
    """Copies everything while the server goes on; `target` must not exist and exists afterwards whole or not at all.

    The databases are copied first: whatever they speak of was stored before them.
    """
    missing = [str(path) for path in state.files.values() if not path.is_file()]
    if missing:
        raise Refused("FileNotFound", f"{missing[0]} does not exist.", "A backup without its key cannot be used.")
    with new_archive(target) as archive, _workroom(target.absolute().parent) as room:
        members = [*_save_databases(state, archive, room), *_save_files(state, archive), *_save_blobs(state, archive)]
        manifest = Manifest(made_at=now, members=tuple(members))
        text = manifest.model_dump_json(indent=1).encode()
        archive.add(MANIFEST, len(text), [text])
    return manifest


def restore(state: State, source: Path, epoch: str, replace: bool = False) -> Manifest:
    """Checks all of the backup, then puts it in place; the server must be down.

    `epoch` is a new one: sites relist, and what they do that this backup does not know they report as orphaned.
    Without `replace` an existing database is refused. Raises Refused(BackupDamaged) before anything was changed.
    """
    with open_archive(source) as archive:
        manifest = _verified(archive)
        _fits(state, manifest)
        if not replace:
            _refuse_existing(state)
        for url in state.databases.values():
            dumps.refuse_in_use(url)
        _load_blobs(state, archive, manifest)
        for name, path in state.files.items():
            _load_file(archive, f"files/{name}", path)
        _load_databases(state, archive, epoch)
    return manifest


def _save_databases(state: State, archive: Writer, room: Path) -> Iterator[Member]:
    for name, url in state.databases.items():
        copy = room / name
        dumps.dump(url, copy)
        yield _save(archive, f"databases/{name}.{dumps.suffix(url)}", copy.stat().st_size, pieces(copy))
        copy.unlink()


def _save_files(state: State, archive: Writer) -> Iterator[Member]:
    for name, path in state.files.items():
        yield _save(archive, f"files/{name}", path.stat().st_size, pieces(path))


def _save_blobs(state: State, archive: Writer) -> Iterator[Member]:
    for digest, size in state.blobs.digests():
        member = _save(archive, f"blobs/{digest}", size, state.blobs.read(digest))
        if member.digest != digest:
            raise Refused("DigestMismatch", f"{digest} is damaged in the artifact store.", "Check its disk.")
        yield member


def _save(archive: Writer, name: str, size: int, chunks: Iterator[bytes]) -> Member:
    return Member(name=name, digest=archive.add(name, size, chunks), size=size)


def _verified(archive: Reader) -> Manifest:
    size = archive.size(MANIFEST)
    if size is None or size > MANIFEST_LIMIT:
        raise _damaged("it has no manifest")
    try:
        manifest = Manifest.model_validate_json(b"".join(archive.read(MANIFEST)))
    except ValidationError as error:
        raise _damaged("its manifest cannot be read") from error
    if manifest.format != 1:
        raise Refused("NotSupported", "The backup was made by a newer Ferry.", "Restore it with that version.")
    for member in manifest.members:
        if not _NAME.fullmatch(member.name):
            raise _damaged("it names a member that no backup has")
        if archive.size(member.name) != member.size or _digest(archive, member.name) != member.digest:
            raise _damaged(f"{member.name} is missing or was changed")
        if member.name.startswith("blobs/") and member.name != f"blobs/{member.digest}":
            raise _damaged(f"{member.name} is something else")
    return manifest


def _fits(state: State, manifest: Manifest) -> None:
    held = {member.name for member in manifest.members if not member.name.startswith("blobs/")}
    wanted = {f"databases/{name}.{dumps.suffix(url)}" for name, url in state.databases.items()}
    wanted |= {f"files/{name}" for name in state.files}
    if held != wanted:
        raise Refused(
            "NotSupported",
            f"The backup holds {', '.join(sorted(held))}; this server keeps {', '.join(sorted(wanted))}.",
            "Configure the same kinds of databases as where the backup was made.",
        )


def _refuse_existing(state: State) -> None:
    for name, url in state.databases.items():
        if dumps.exists(url):
            raise Conflict(
                "AlreadyExists",
                f"There is a database {name} already.",
                "Restore into an empty place, or add --replace.",
            )


def _load_blobs(state: State, archive: Reader, manifest: Manifest) -> None:
    digests = [member.digest for member in manifest.members if member.name.startswith("blobs/")]
    stored = state.blobs.has(digests)
    for digest in digests:
        if digest not in stored:
            state.blobs.put(archive.read(f"blobs/{digest}"), digest)


def _load_file(archive: Reader, name: str, path: Path) -> None:
    private_folder(path.absolute().parent)
    with _workroom(path.absolute().parent) as room:
        write(room / "file", archive.read(name))
        (room / "file").chmod(0o600)
        move_into_place(room / "file", path)


def _load_databases(state: State, archive: Reader, epoch: str) -> None:
    """The store comes last: a restore that was cut off is begun again."""
    for name, url in sorted(state.databases.items(), key=lambda item: item[0] == "ferry"):
        with _workroom(_beside(url)) as room:
            copy = room / name
            write(copy, archive.read(f"databases/{name}.{dumps.suffix(url)}"))
            copy.chmod(0o600)
            if dumps.suffix(url) == "sqlite" and name == "ferry":
                _begin_epoch(f"sqlite:///{copy}", epoch)
            dumps.load(url, copy)
        if dumps.suffix(url) != "sqlite" and name == "ferry":
            _begin_epoch(url, epoch)


def _begin_epoch(url: str, epoch: str) -> None:
    store = open_store(url)
    try:
        with store.begin() as tx:
            tx.set_epoch(epoch)
    finally:
        store.close()
    if (file := sqlite_file(url)) is not None:
        dumps.settle(file)


def _beside(url: str) -> Path:
    """A folder on the database's own disk, so that the copy can be renamed into place."""
    file = sqlite_file(url)
    return Path(tempfile.gettempdir()) if file is None else file.absolute().parent


@contextmanager
def _workroom(folder: Path) -> Iterator[Path]:
    private_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ferry-backup-") as room:
        yield Path(room)


def _digest(archive: Reader, name: str) -> str:
    seen = sha256()
    for piece in archive.read(name):
        seen.update(piece)
    return f"sha256:{seen.hexdigest()}"


def _damaged(why: str) -> Refused:
    return Refused("BackupDamaged", f"The backup cannot be used: {why}.", "Use another backup; nothing was restored.")
