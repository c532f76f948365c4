"""What every runner's plan has in common: what to bring, where it lies, what to keep; backends add what is theirs."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.domain.orders import InputOrder, JobOrder, OutputOrder, TreeRef

TIMEOUT_SLACK_S = 5
STAGE_PATIENCE_S = 3600
NO_LIMIT_S = 10 * 365 * 86400


@dataclass
class Bring:
    """What the runner fetches, links and copies before the program starts."""

    way: Mapping[str, str] = field(default_factory=dict)
    """How web addresses are reached: proxy and certificates."""
    fetch: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    copies: list[dict[str, Any]] = field(default_factory=list)
    folders: list[str] = field(default_factory=lambda: ["inputs", "outputs"])
    roots: list[str] = field(default_factory=list)

    def tree(self, what: str, ref: TreeRef, to: str, read_only: bool = False, single: bool = False) -> None:
        item = {"what": what, "kind": ref.kind, "digest": ref.digest, "to": to}
        self.fetch.append({**item, "read_only": read_only, "single": single})

    def web(self, what: str, order: InputOrder, to: str, read_only: bool) -> None:
        """Raises Refused `NotSupported` for what a web server cannot give."""
        uri = order.uri or ""
        if not uri.startswith(("https://", "http://")) or order.type not in ("uri_file", "custom_model"):
            raise Refused(
                "NotSupported", f"{what}: a site cannot bring {uri.split('?')[0]!r} as {order.type}",
                "Use a single file at http(s)://, an asset that was uploaded, or mode: direct.",
            )  # fmt: skip
        self.fetch.append({"what": what, "kind": "uri", "uri": uri, "to": to, "read_only": read_only, **self.way})

    def copy(self, what: str, source: str, to: str) -> None:
        self.copies.append({"what": what, "from": source, "to": to})


def read_only(order: InputOrder) -> bool:
    """Whether the program may not write to its input."""
    return order.mode in ("ro_mount", "eval_mount")


def bring_code(order: JobOrder, bring: Bring) -> None:
    if order.code is not None:
        to = "code" if order.code.kind == "tree" else f"code/{file_name(order.code.name, 'code')}"
        bring.tree("code", order.code, to)


def bring_input(name: str, order: InputOrder, folder: str, bring: Bring) -> str:
    """Where the program finds an input that is no place on a datastore; how it gets there is added to `bring`.

    Raises:
        Refused: NotSupported, StagingFailed or PathEscapes.
    """
    what = f"input {name}"
    if order.uri is not None:
        if order.mode == "direct":
            return order.uri
        to = f"inputs/{safe(name)}/{file_name(PurePosixPath(order.uri.split('?')[0]).name, name)}"
        bring.web(what, order, to, read_only(order))
        return posixpath.join(folder, to)
    if order.tree is None:
        raise Refused("StagingFailed", f"{what} has no content")
    to = f"inputs/{safe(name)}"
    single = order.type == "uri_file"
    if order.tree.kind == "file" or single:
        to = f"{to}/{file_name(order.tree.name, name)}"
    bring.tree(what, order.tree, to, read_only(order), single)
    return posixpath.join(folder, to)


def output_item(name: str, order: OutputOrder, place: str, bring: Bring) -> dict[str, Any]:
    """One entry of the plan's `outputs`.

    Args:
        place: absolute path of the user's own place for it, as the runner sees it; empty for Ferry's store.
    """
    is_file = order.type == "uri_file"
    base = f"outputs/{safe(name)}"
    path = f"{base}/{file_name(PurePosixPath(place).name, name)}" if is_file else base
    direct = bool(place) and order.mode != "upload"
    if direct:
        path = place
        bring.roots.append(place)
    bring.folders.append(str(PurePosixPath(path).parent) if is_file else path)
    return {
        "name": name, "type": order.type, "path": path, "parts": [],
        "upload": not place, "place": "" if direct else place,
    }  # fmt: skip


def rest_item(order: JobOrder, bring: Bring) -> dict[str, Any]:
    """What is written to ./outputs and ./logs is kept without being named."""
    bring.folders += ["code/outputs", "code/logs"]
    name = "artifacts" if "default" in order.outputs else "default"
    return {
        "name": name, "type": "uri_folder", "path": "code", "parts": ["outputs", "logs"], "upload": True, "place": "",
    }  # fmt: skip


def bring_earlier(previous: Mapping[str, TreeRef], outputs: list[dict[str, Any]], bring: Bring) -> None:
    """A retry starts from the outputs of the attempt before that the gateway has."""
    known = {item["name"]: item["path"] for item in outputs if item["upload"]}
    for name, ref in previous.items():
        to = known.get(name, "code" if name in ("default", "artifacts") else None)
        if (
            to is not None
            and ref.kind == "tree"
            and any(item["path"] == to and item["type"] == "uri_file" for item in outputs)
        ):
            to = str(PurePosixPath(to).parent)
        if to is not None:
            bring.tree(f"earlier output {name}", ref, to)


def brought(bring: Bring) -> dict[str, Any]:
    """The part of the plan that staging carries out."""
    return {
        "fetch": bring.fetch, "links": bring.links, "copies": bring.copies, "folders": bring.folders,
        "roots": bring.roots, "stage_patience_s": STAGE_PATIENCE_S,
    }  # fmt: skip


def limits(
    order: JobOrder, *, upload_grace_s: float, log_flush_s: float, cancel_grace_s: float, max_log_bytes: int
) -> dict[str, Any]:
    """The part of the plan that says how long and how much."""
    return {
        "timeout_s": order.timeout_s, "timeout_slack_s": TIMEOUT_SLACK_S,
        "upload_patience_s": upload_grace_s or NO_LIMIT_S, "flush_s": log_flush_s,
        "grace_s": cancel_grace_s, "max_log_bytes": max_log_bytes,
    }  # fmt: skip


def safe(name: str) -> str:
    """A name as one part of a path; names are checked long before, this is the last fence."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise Refused("PathEscapes", f"{name!r} cannot name an input or output")
    return name


def file_name(name: str, fallback: str) -> str:
    return safe(name or fallback)
