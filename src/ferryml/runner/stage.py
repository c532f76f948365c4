"""Brings code, inputs and earlier outputs into the attempt's folder, every digest checked and no path let out."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Callable

from ferryml.runner.door import Door, Rejected
from ferryml.runner.line import quoted
from ferryml.runner.overlay import make_overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEX = frozenset("0123456789abcdef")


class Escapes(Exception):
    """A path of a manifest would leave its folder."""


def stage(plan: dict[str, Any], folder: str, door: Door, say: Callable[[str], None]) -> None:
    """Carries out the plan's `overlay`, `folders`, `links`, `copies` and `fetch`, in this order.

    Starts from nothing each time, so that an interrupted attempt at it leaves no trace.
    """
    if plan["overlay"]:
        make_overlay(os.path.join(folder, "venv"), plan["overlay"])
    for name in plan["folders"]:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for link in plan["links"]:
        _place(link, folder)
    for copy in plan["copies"]:
        say(f"copying {copy['what']}")
        _copy(copy["from"], os.path.join(folder, copy["to"]), copy.get("within"))
    for item in plan["fetch"]:
        say(f"fetching {item['what']}")
        target = os.path.join(folder, item["to"])
        if item["kind"] == "place":
            _from_place(door, item, target, say)
        elif item.get("source"):
            _from_outside(door, item, target)
        elif item["kind"] == "uri":
            _web(item, target, door)
        elif item["kind"] == "file":
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _blob(door, item["digest"], target, False, item["read_only"])
        elif item.get("single"):
            _only_file(door, item, target, say)
        else:
            _tree(door, item, target, say)


def check_path(path: str) -> str:
    """Gives a manifest's path back when it is plain and relative.

    Raises:
        Escapes: it is absolute, empty, has `..`, a backslash or a control character.
    """
    parts = path.split("/")
    if (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or path[1:2] == ":"
        or any(ord(c) < 32 or ord(c) == 127 for c in path)
    ):
        raise Escapes(f"path {path[:200]!r} leaves its folder")
    return path


def _tree(door: Door, item: dict[str, Any], target: str, say: Callable[[str], None]) -> None:
    raw = door.get_bytes("/v1/trees/" + _digest(item["digest"]))
    if "sha256:" + hashlib.sha256(raw).hexdigest() != item["digest"]:
        raise Rejected(200, "DigestMismatch", f"the manifest {item['digest']} arrived altered")
    entries = json.loads(raw)["entries"]
    os.makedirs(target, exist_ok=True)
    here: dict[str, str] = {}
    for number, entry in enumerate(entries):
        if number and number % 100 == 0:
            say(f"fetching {item['what']}: {number} of {len(entries)} files")
        path = os.path.join(target, check_path(entry["path"]))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        known = here.get(entry["digest"])
        if known:
            shutil.copyfile(known, path)
            _mode(path, entry["executable"], item["read_only"])
        else:
            _blob(door, entry["digest"], path, entry["executable"], item["read_only"])
            here[entry["digest"]] = path


def _only_file(door: Door, item: dict[str, Any], target: str, say: Callable[[str], None]) -> None:
    """A `uri_file` that was an output is a folder of one file; the program was promised the file's path."""
    aside = target + ".folder"
    _tree(door, item, aside, say)
    found = [os.path.join(folder, name) for folder, _, names in os.walk(aside) for name in names]
    if len(found) != 1:
        raise Rejected(409, "BadValue", f"{item['what']} is of type uri_file and holds {len(found)} files")
    os.replace(found[0], target)
    shutil.rmtree(aside)


def _web(item: dict[str, Any], target: str, door: Door) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # Loaded here alone: TLS and what belongs to it would double the time to start of every job.
    web = importlib.import_module("ferryml.runner.web")
    try:
        web.fetch_uri(item, target, door.stop)
    except web.Unreachable as error:
        raise Rejected(502, "Unreachable", str(error)) from error
    _mode(target, False, item["read_only"])


def _from_outside(door: Door, item: dict[str, Any], target: str) -> None:
    """What the gateway fetches for us: it takes the address from the server's order, not from here."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    door.download("/v1/sources/" + quoted(item["source"]), target, "")
    _mode(target, False, item["read_only"])


def _from_place(door: Door, item: dict[str, Any], target: str, say: Callable[[str], None]) -> None:
    """A place on an object store, whose credentials the gateway alone has."""
    base = "/v1/sources/" + quoted(item["source"])
    entries = door.get_json(base + "/entries")["entries"]
    single = [entry["path"] for entry in entries] == [""]
    if item.get("single") and not single:
        raise Rejected(
            409, "BadValue", f"{item['what']} is of type uri_file and its place holds {len(entries)} objects"
        )
    for number, entry in enumerate(entries):
        if number and number % 100 == 0:
            say(f"fetching {item['what']}: {number} of {len(entries)} files")
        name = entry["path"] or ("" if item.get("single") else os.path.basename(target))
        path = os.path.join(target, check_path(name)) if name else target
        os.makedirs(os.path.dirname(path), exist_ok=True)
        door.download(f"{base}/file?path={quoted(entry['path'])}", path, "")
        _mode(path, False, item["read_only"])


def _blob(door: Door, digest: str, path: str, executable: bool, read_only: bool) -> None:
    door.download("/v1/blobs/" + _digest(digest), path, digest)
    _mode(path, executable, read_only)


def _mode(path: str, executable: bool, read_only: bool) -> None:
    umask = os.umask(0o077)
    os.umask(umask)
    # In a pod the group shares the files: staging runs as another user than the program.
    os.chmod(path, (0o444 if read_only else 0o644 | (0o020 & ~umask)) | (0o111 if executable else 0))


def _digest(digest: str) -> str:
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not _HEX.issuperset(value):
        raise Rejected(400, "BadReference", f"{digest[:80]!r} is no digest")
    return digest


def _place(link: dict[str, Any], folder: str) -> None:
    _check_within(link["from"], link.get("within"))
    path = os.path.join(folder, link["to"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(link["from"], path)


def _copy(source: str, target: str, within: str | None = None) -> None:
    _check_within(source, within)

    def unwanted(folder: str, names: list[str]) -> list[str]:
        others = _ignore_specials(folder, names)
        return others + [
            name for name in names if name not in others and not _is_within(os.path.join(folder, name), within)
        ]

    if os.path.isdir(source):
        shutil.copytree(source, target, ignore=unwanted, dirs_exist_ok=True)
    elif os.path.exists(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)


def _check_within(path: str, within: str | None) -> None:
    if not _is_within(path, within):
        raise Escapes(f"path {path[:200]!r} leaves the folder of its data")


def _is_within(path: str, within: str | None) -> bool:
    """Data may hold links to anywhere, and staging sees files that the program does not."""
    if within is None:
        return True
    real, root = os.path.realpath(path), os.path.realpath(within)
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def _ignore_specials(folder: str, names: list[str]) -> list[str]:
    paths = ((name, os.path.join(folder, name)) for name in names)
    return [name for name, path in paths if not (os.path.isfile(path) or os.path.isdir(path))]
