"""Tree manifests: one folder is one blob of canonical JSON, so that equal folders have equal digests everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from pydantic import ValidationError

from ferryml.domain.errors import Refused
from ferryml.domain.orders import Tree, TreeEntry, TreeRef

MAX_PATH_BYTES = 4096
MAX_PART_BYTES = 255


def tree_bytes(tree: Tree) -> bytes:
    """The manifest's canonical bytes: entries sorted by path, no spaces, UTF-8.

    Raises Refused `PathEscapes` for a path that `check_path` refuses or that two entries fight over.
    """
    entries = sorted(tree.entries, key=lambda entry: entry.path)
    _check_paths([entry.path for entry in entries])
    body = {"entries": [_entry(entry) for entry in entries]}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def parse_tree(data: bytes) -> Tree:
    """The manifest in `data`; raises Refused (`BadRequest`, `PathEscapes`) when it is none or would write elsewhere."""
    try:
        tree = Tree.model_validate_json(data)
    except ValidationError as error:
        raise Refused("BadRequest", f"not a tree manifest: {error.errors(include_url=False)[0]['msg']}") from error
    _check_paths([entry.path for entry in tree.entries])
    return tree


def tree_digest(tree: Tree) -> str:
    """`sha256:HEX` of the canonical bytes."""
    return bytes_digest(tree_bytes(tree))


def bytes_digest(data: bytes) -> str:
    """`sha256:HEX` of any bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tree_ref(tree: Tree, name: str = "") -> TreeRef:
    """A reference to the folder, with its size in bytes."""
    return TreeRef(digest=tree_digest(tree), kind="tree", name=name, size=sum(entry.size for entry in tree.entries))


def subtree(tree: Tree, path: str) -> Tree:
    """What lies below `path` (the file itself when `path` names one); empty when nothing does."""
    inside = path.strip("/")
    if not inside:
        return tree
    below = inside + "/"
    kept = [
        entry.model_copy(update={"path": entry.path.removeprefix(below)})
        for entry in tree.entries
        if entry.path.startswith(below)
    ]
    same = [
        entry.model_copy(update={"path": inside.rsplit("/", 1)[-1]}) for entry in tree.entries if entry.path == inside
    ]
    return Tree(entries=tuple(kept or same))


def check_path(path: str) -> str:
    """Give `path` back when it stays below its folder on every system; raises Refused `PathEscapes`."""
    if _bad(path):
        raise Refused(
            "PathEscapes", f"path {path[:200]!r} is not a plain relative path", "Use plain relative paths without '..'."
        )
    return path


def _bad(path: str) -> bool:
    parts = path.split("/")
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return True
    return (
        len(encoded) > MAX_PATH_BYTES
        or any(part in {"", ".", ".."} or len(part.encode()) > MAX_PART_BYTES for part in parts)
        or "\\" in path
        or any(ord(c) < 32 or ord(c) == 127 for c in path)
        or path[1:2] == ":"
    )


def _check_paths(paths: Iterable[str]) -> None:
    seen: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        check_path(path)
        if path in seen:
            raise Refused("PathEscapes", f"path {path[:200]!r} stands twice in the tree")
        seen.add(path)
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            if path in folders:
                break
            folders.add(path)
    if both := seen & folders:
        raise Refused("PathEscapes", f"path {min(both)[:200]!r} is both a file and a folder in the tree")


def _entry(entry: TreeEntry) -> dict[str, object]:
    return {"path": entry.path, "digest": entry.digest, "size": entry.size, "executable": entry.executable}
