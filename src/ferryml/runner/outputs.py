"""Hands an attempt's outputs to the gateway: every file once by digest, then one manifest for each output."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator

from ferryml.runner.door import Door
from ferryml.runner.line import BLOCK, quoted
from ferryml.runner.stage import Escapes, check_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Outputs:
    """Collects the outputs of one attempt.

    Args:
        roots: folders whose files may be followed through symbolic links.
        say: told in words what is being done.
        rank: which pod of the job this is; None where there is one alone.
    """

    def __init__(self, door: Door, roots: list[str], say: Callable[[str], None], rank: int | None = None) -> None:
        self._door, self._say, self._rank = door, say, {} if rank is None else {"rank": rank}
        self._roots = [os.path.realpath(root) for root in roots]
        self._sent: set[str] = set()
        self.said: set[str] = set()
        """Outputs whose last word is due even when it is empty: the gateway joins it with what other ranks said."""
        self.notes: list[str] = []

    def hand_over(self, output: dict[str, Any], folder: str) -> dict[str, Any] | None:
        """Uploads one output and records its manifest.

        `output`: `{name, type, path, parts, place}`; `parts` lists `(name in the tree, path)` below `path`.
        Returns `{"entries": [...]}`, or None when nothing was written.
        """
        path = os.path.join(folder, output["path"])
        if output.get("place"):
            self._say(f"copying output {output['name']}")
            _copy_out(path, output["place"])
            return None
        if output.get("source"):
            self._to_place(output, path)
            return None
        if not output["upload"]:
            return None
        entries = [self.entry(name, source) for name, source in self._files(output, path)]
        if not entries:
            if not output.get("parts"):
                self.notes.append(f"output {output['name']} is empty")
            if output["name"] not in self.said:
                return None
        return self.record(output, entries)

    def found(self, output: dict[str, Any], folder: str) -> list[tuple[str, str]]:
        """(name in the tree, path) of each file that is there now."""
        return list(self._files(output, os.path.join(folder, output["path"])))

    def record(self, output: dict[str, Any], entries: list[dict[str, Any]], so_far: bool = False) -> dict[str, Any]:
        """Tells the gateway what the output consists of; `so_far`: for another attempt on this site alone."""
        tree = {"entries": sorted(entries, key=lambda entry: str(entry["path"]))}
        said = {"name": output["name"], "tree": tree, "type": output["type"], **self._rank}
        self._door.post_json("/v1/outputs", {**said, "so_far": True} if so_far else said)
        return tree

    def _to_place(self, output: dict[str, Any], path: str) -> None:
        """To an object store, whose credentials the gateway alone has."""
        base = f"/v1/sources/{quoted(output['source'])}/file?path="
        for name, source in self._files(output, path):
            self._say(f"uploading {name}")
            self._door.put_file(base + ("" if output["type"] == "uri_file" else quoted(name)), source)

    def _files(self, output: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        if os.path.isfile(path):
            yield os.path.basename(path), path
            return
        for part in output.get("parts") or [""]:
            top = os.path.join(path, part) if part else path
            for folder, folders, names in os.walk(top):
                self._name_linked_folders(output["name"], folder, folders)
                for name in sorted(names):
                    source = os.path.join(folder, name)
                    shown = _shown(os.path.relpath(source, path))
                    if self._fit(output["name"], shown, source):
                        yield shown, source

    def _fit(self, output: str, shown: str, source: str) -> bool:
        real = os.path.realpath(source)
        inside = any(real == root or real.startswith(root + os.sep) for root in self._roots)
        try:
            check_path(shown)
        except Escapes:
            inside = False
        if not inside or not os.path.isfile(real):
            self.notes.append(f"output {output}: {shown} was left out (no plain file of this job)")
            return False
        return True

    def _name_linked_folders(self, output: str, folder: str, folders: list[str]) -> None:
        folders.sort()
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                self.notes.append(f"output {output}: the linked folder {_shown(name)} was left out")

    def entry(self, name: str, source: str) -> dict[str, Any]:
        """Uploads one file, once for each content."""
        digest, size = _digest(source)
        if digest not in self._sent:
            self._say(f"uploading {name}")
            self._door.put_file("/v1/blobs/" + digest, source)
            self._sent.add(digest)
        return {"path": name, "digest": digest, "size": size, "executable": os.access(source, os.X_OK)}


def _digest(path: str) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while True:
            block = file.read(BLOCK)
            if not block:
                return "sha256:" + hasher.hexdigest(), size
            hasher.update(block)
            size += len(block)


def _shown(path: str) -> str:
    """File names are bytes; a manifest is text."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\\", "_")


def _copy_out(source: str, target: str) -> None:
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    elif os.path.exists(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        partial = target + ".partial"
        shutil.copyfile(source, partial)
        os.replace(partial, target)
