"""Local files become content: hashed, sent once per digest, resumed where they stopped."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from ferryml.compile.tree import bytes_digest, check_path, tree_bytes
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.orders import Tree, TreeEntry
from ferryml.sdk.flow import Call, Flow, Pause, ask, get, send

CHUNK = 4 << 20
"""Bytes sent in one piece; an interrupted upload loses at most this much."""
SMALL = 256 << 10
"""Files up to this size go in one request."""
PATIENCE = 5
"""Failures in a row after which an upload gives up; between them it asks how far it got."""
ASKED = 5_000
"""Digests asked for in one request."""
IGNORE_FILES = (".amlignore", ".gitignore")
"""The first that exists in the folder rules."""
ALWAYS_IGNORED = (".git/", "__pycache__/", ".ferry/")

Progress = Callable[[int, int], None]
"""(bytes sent or known already, bytes in all)"""


@dataclass(frozen=True, slots=True)
class Content:
    """A file or folder ready to send: digest -> where its bytes are."""

    kind: str
    digest: str
    name: str
    sources: Mapping[str, tuple[Path | bytes, int]]

    def __str__(self) -> str:
        """The reference that stands in a spec instead of the path."""
        return f"content:{self.kind}:{self.digest}:{self.name}"


def scan(path: str | os.PathLike[str], *, ignore: bool = False) -> Content:
    """Hash a file, or a folder into a manifest.

    Args:
        ignore: leave out what `.amlignore`, else `.gitignore`, of the folder names (code snapshots).

    Raises:
        Refused: `FileNotFound`; `PathEscapes` for a symbolic link that leaves the folder or a name that is no
            portable relative path; `BadValue` for what is neither file nor folder.
    """
    root = Path(path)
    if not root.exists():
        raise Refused("FileNotFound", f"{path} does not exist", "Paths in a YAML file are relative to that file.")
    if root.is_file():
        digest, size = _hashed(root)
        return Content("file", digest, root.name, {digest: (root, size)})
    if not root.is_dir():
        raise Refused("BadValue", f"{path} is neither a file nor a folder", "Give a regular file or a folder.")
    entries: list[TreeEntry] = []
    sources: dict[str, tuple[Path | bytes, int]] = {}
    for file in _files(root, ignore):
        digest, size = _hashed(file)
        relative = check_path(file.relative_to(root).as_posix())
        executable = bool(file.stat().st_mode & stat.S_IXUSR)
        entries.append(TreeEntry(path=relative, digest=digest, size=size, executable=executable))
        sources[digest] = (file, size)
    manifest = tree_bytes(Tree(entries=tuple(entries)))
    digest = bytes_digest(manifest)
    return Content("tree", digest, root.resolve().name, {**sources, digest: (manifest, len(manifest))})


def upload(workspace: str, content: Content, progress: Progress | None = None) -> Flow[str]:
    """Send what the server lacks; returns the reference. The manifest goes last, so a reference is never hollow."""
    base = f"/api/v1/workspaces/{workspace}/artifacts"
    digests = list(content.sources)
    lacking: set[str] = set()
    for start in range(0, len(digests), ASKED):
        answer = yield from send("POST", f"{base}/missing", {"digests": digests[start : start + ASKED]})
        lacking.update(answer["missing"])
    total = sum(size for _, size in content.sources.values())
    done = total - sum(content.sources[digest][1] for digest in lacking)
    for digest in digests:
        if digest in lacking:
            yield from _send_one(base, digest, *content.sources[digest])
            done += content.sources[digest][1]
        if progress is not None:
            progress(done, total)
    return str(content)


def substitute(workspace: str, spec: Mapping[str, Any], progress: Progress | None = None) -> Flow[dict[str, Any]]:
    """The posted form of a spec: every absolute local path in a place that holds content becomes its reference."""
    done: dict[tuple[str, bool], str] = {}

    def walk(value: Any, key: str, parent: str) -> Flow[Any]:
        if isinstance(value, Mapping):
            made = {}
            for name, inner in value.items():
                made[name] = yield from walk(inner, str(name), key)
            return made
        if isinstance(value, list | tuple):
            items = []
            for inner in value:
                items.append((yield from walk(inner, key, parent)))
            return items
        if isinstance(value, str) and _is_content(key, parent) and os.path.isabs(value):
            at = (value, key == "code" or parent == "build")
            if at not in done:
                done[at] = yield from upload(workspace, scan(value, ignore=at[1]), progress)
            return done[at]
        return value

    answer: dict[str, Any] = yield from walk(spec, "", "")
    return answer


def _is_content(key: str, parent: str) -> bool:
    """`code:`, `path:` (data, model, inputs) and `model:` may hold local paths; paths of routes do not."""
    return key in ("code", "model") or (key == "path" and not parent.endswith("_route"))


def _send_one(base: str, digest: str, source: Path | bytes, size: int) -> Flow[None]:
    if size <= SMALL:
        body = source if isinstance(source, bytes) else source.read_bytes()
        yield from ask(Call("PUT", f"{base}/blobs/{digest}", body=body))
        return
    started = yield from send("POST", f"{base}/uploads", {"digest": digest, "size": size})
    ident, offset = started["id"], int(started["offset"])
    failures = 0
    while not started["done"] and offset < size:
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        call = Call(
            "PATCH", f"{base}/uploads/{ident}", body=_piece(source, offset), headers=headers,
            repeatable=False, timeout_s=300,
        )  # fmt: skip
        try:
            offset = int((yield from ask(call)).headers["upload-offset"])
            failures = 0
        except Unavailable:
            failures += 1
            if failures > PATIENCE:
                raise
            yield Pause(0.2 * 2**failures)
            started = yield from get(f"{base}/uploads/{ident}")
            offset = int(started["offset"])
    if not started["done"]:
        yield from ask(Call("POST", f"{base}/uploads/{ident}/finish", timeout_s=300))


def _piece(source: Path | bytes, offset: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + CHUNK]
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK)


def _hashed(file: Path) -> tuple[str, int]:
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        return f"sha256:{digest}", source.tell()


def _files(root: Path, ignore: bool) -> Iterator[Path]:
    rules = GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *_ignore_lines(root)] if ignore else [])
    real = root.resolve()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        kept = []
        for name in sorted(folders):
            child = here / name
            if rules.match_file(child.relative_to(root).as_posix() + "/"):
                continue
            if child.is_symlink():
                raise Refused(
                    "PathEscapes", f"{child} is a symbolic link to a folder",
                    "Copy what it points to, or name it in .amlignore.",
                )  # fmt: skip
            kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            file = here / name
            if rules.match_file(file.relative_to(root).as_posix()):
                continue
            if file.is_symlink() and not file.resolve().is_relative_to(real):
                raise Refused("PathEscapes", f"{file} is a symbolic link that leaves {root}", "Copy what it points to.")
            if not file.is_file():
                raise Refused("BadValue", f"{file} is not a regular file", "Remove it, or name it in .amlignore.")
            yield file


def _ignore_lines(root: Path) -> list[str]:
    for name in IGNORE_FILES:
        file = root / name
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def posted(spec: Any) -> dict[str, Any]:
    """A spec as JSON data; what was not written stays unwritten."""
    data: dict[str, Any] = json.loads(spec.model_dump_json(exclude_unset=True, by_alias=True))
    return data
