"""Content becomes local files: checked by digest, whole or not at all, never outside the folder it is meant for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ferryml.compile.tree import bytes_digest, check_path, parse_tree
from ferryml.domain.errors import Conflict, Unavailable
from ferryml.domain.orders import TreeRef
from ferryml.sdk.flow import Call, Flow, ask
from ferryml.sdk.uploads import Progress


def download(workspace: str, ref: TreeRef, target: Path, progress: Progress | None = None) -> Flow[list[Path]]:
    """Bring a file or folder to `target` (a folder that is made); returns the files written.

    Raises:
        Conflict: `AlreadyExists` when a file there has other content.
        Unavailable: `DigestMismatch` when the bytes are not what they should be; nothing of that file stays.
    """
    if ref.kind == "file":
        wanted = [(check_path(ref.name or "file"), ref.digest, ref.size, False)]
    else:
        manifest = yield from ask(Call("GET", _blob(workspace, ref.digest)))
        if bytes_digest(manifest.body) != ref.digest:
            raise _mismatch("the manifest")
        tree = parse_tree(manifest.body)
        wanted = [(entry.path, entry.digest, entry.size, entry.executable) for entry in tree.entries]
    total, done, written = sum(size for _, _, size, _ in wanted), 0, []
    target.mkdir(parents=True, exist_ok=True)
    for path, digest, size, executable in wanted:
        file = target / path
        yield from _one(workspace, digest, file)
        if executable:
            file.chmod(file.stat().st_mode | 0o111)
        done += size
        written.append(file)
        if progress is not None:
            progress(done, total)
    return written


def _one(workspace: str, digest: str, file: Path) -> Flow[None]:
    if file.exists():
        if _digest(file) == digest:
            return
        raise Conflict("AlreadyExists", f"{file} exists with other content", "Give another --download-path.")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    yield from ask(Call("GET", _blob(workspace, digest), headers=headers, timeout_s=600, save_to=str(part)))
    if _digest(part) != digest:
        part.unlink()
        raise _mismatch(str(file))
    os.replace(part, file)


def _blob(workspace: str, digest: str) -> str:
    return f"/api/v1/workspaces/{workspace}/artifacts/blobs/{digest}"


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return f"sha256:{hashlib.file_digest(source, 'sha256').hexdigest()}"


def _mismatch(what: str) -> Unavailable:
    return Unavailable("DigestMismatch", f"{what} did not arrive as it was stored", "Try again.")
