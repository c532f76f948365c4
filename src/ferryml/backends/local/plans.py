"""Turns a launch into the plan that the runner carries out: what to bring, where it lies, what to run, what to keep."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ferryml.compile.job import Places, job_variables, local_notes, process_count, process_variables, rendered_command
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath, InputOrder, JobOrder, OutputOrder, TreeRef
from ferryml.domain.seen import Launch
from ferryml.settings.site import SiteSettings

TIMEOUT_SLACK_S = 5
STAGE_PATIENCE_S = 3600
NO_LIMIT_S = 10 * 365 * 86400
INHERITED = (
    "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH",
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "PIP_CERT", "PIP_CONFIG_FILE", "XDG_CACHE_HOME", "OMP_NUM_THREADS",
)  # fmt: skip
"""Of the agent's own variables only these reach user code: the others may hold secrets."""


@dataclass
class _Bring:
    """What the runner fetches, links and copies before the program starts."""

    way: dict[str, str]
    """Proxy and certificates for web addresses."""
    fetch: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    copies: list[dict[str, Any]] = field(default_factory=list)
    folders: list[str] = field(default_factory=lambda: ["inputs", "outputs"])
    roots: list[str] = field(default_factory=list)

    def tree(self, what: str, ref: TreeRef, to: str, read_only: bool = False, single: bool = False) -> None:
        item = {"what": what, "kind": ref.kind, "digest": ref.digest, "to": to}
        self.fetch.append({**item, "read_only": read_only, "single": single})

    def web(self, what: str, order: InputOrder, to: str, read_only: bool) -> None:
        uri = order.uri or ""
        if not uri.startswith(("https://", "http://")) or order.type not in ("uri_file", "custom_model"):
            raise Refused(
                "NotSupported", f"{what}: a local site cannot bring {uri.split('?')[0]!r} as {order.type}",
                "Use a single file at http(s)://, an asset that was uploaded, or mode: direct.",
            )  # fmt: skip
        self.fetch.append({"what": what, "kind": "uri", "uri": uri, "to": to, "read_only": read_only, **self.way})

    def copy(self, what: str, source: str, to: str) -> None:
        self.copies.append({"what": what, "from": source, "to": to})


def make_plan(
    launch: Launch, folder: Path, python: str, settings: SiteSettings, previous: Path | None
) -> dict[str, Any]:
    """The content of job.json.

    Args:
        python: interpreter of the environment.
        previous: folder of the attempt before, if it is still here: its outputs are taken over.

    Raises:
        Refused: PathEscapes, NotSupported, StagingFailed or UnresolvedExpression; nothing was started.
    """
    way = {"proxy": settings.proxy, "ca_bundle": str(settings.ca_bundle or "")}
    order, bring = launch.order, _Bring(way)
    if order.code is not None:
        to = "code" if order.code.kind == "tree" else f"code/{_file_name(order.code.name, 'code')}"
        bring.tree("code", order.code, to)
    inputs = {name: _input(name, value, folder, bring) for name, value in order.inputs.items() if value.literal is None}
    outputs = [_output(name, value, folder, bring) for name, value in order.outputs.items()]
    bring.folders += ["code/outputs", "code/logs"]
    _take_over(launch, bring, outputs, previous)
    paths = {item["name"]: os.path.join(folder, item["path"]) for item in outputs}
    places = Places(str(folder / "code"), launch.gateway_url, inputs, paths)
    rest = "artifacts" if "default" in order.outputs else "default"
    outputs.append(
        {"name": rest, "type": "uri_folder", "path": "code", "parts": ["outputs", "logs"], "upload": True, "place": ""}
    )
    return {
        "overlay": str(Path(python).parents[1]),
        "uid": launch.uid, "attempt": launch.attempt, "gateway": launch.gateway_url,
        "fetch": bring.fetch, "links": bring.links, "copies": bring.copies, "folders": bring.folders,
        "roots": bring.roots, "ranks": process_count(order), "command": rendered_command(order, places),
        "env": {
            **_base(python, folder), **_rendezvous(order), **job_variables(order, places, launch.attempt, launch.uid)
        },
        "outputs": outputs, "log_prefix": launch.log_prefix, "timeout_s": order.timeout_s,
        "timeout_slack_s": TIMEOUT_SLACK_S, "stage_patience_s": STAGE_PATIENCE_S,
        "upload_patience_s": settings.upload_grace_s or NO_LIMIT_S, "flush_s": settings.log_flush_s,
        "grace_s": settings.cancel_grace_s, "max_log_bytes": settings.max_log_bytes, "notes": list(local_notes(order)),
    }  # fmt: skip


def datastore_path(place: DatastorePath) -> Path:
    """The real path of a place on a `local` datastore.

    Raises:
        Refused: PathEscapes when it lies outside the datastore's folder, also through symbolic links.
    """
    if place.kind != "local":
        raise Refused(
            "NotSupported", f"a local site cannot read datastore {place.datastore!r} of type {place.kind}",
            "Use a datastore of type local, or an asset that was uploaded.",
        )  # fmt: skip
    root = Path(place.root).resolve()
    path = (root / place.path.strip("/")).resolve()
    if not Path(place.root).is_absolute() or not path.is_relative_to(root):
        raise Refused("PathEscapes", f"path {place.path!r} leaves the folder of datastore {place.datastore!r}")
    return path


def _input(name: str, order: InputOrder, folder: Path, bring: _Bring) -> str:
    """Where the program finds the input; what it takes to get it there is added to `bring`."""
    what = f"input {name}"
    read_only = order.mode in ("ro_mount", "eval_mount")
    if order.uri is not None:
        if order.mode == "direct":
            return order.uri
        to = f"inputs/{_safe(name)}/{_file_name(PurePosixPath(order.uri.split('?')[0]).name, name)}"
        bring.web(what, order, to, read_only)
        return str(folder / to)
    if order.place is not None:
        return _from_place(name, order, folder, bring)
    if order.tree is None:
        raise Refused("StagingFailed", f"{what} has no content")
    to = f"inputs/{_safe(name)}"
    single = order.type == "uri_file"
    if order.tree.kind == "file" or single:
        to = f"{to}/{_file_name(order.tree.name, name)}"
    bring.tree(what, order.tree, to, read_only, single)
    return str(folder / to)


def _from_place(name: str, order: InputOrder, folder: Path, bring: _Bring) -> str:
    assert order.place is not None  # noqa: S101 - the caller has looked; this tells the type checker
    path = datastore_path(order.place)
    if not path.exists():
        raise Refused(
            "StagingFailed", f"input {name}: {order.place.path!r} is not on datastore {order.place.datastore!r}"
        )
    bring.roots.append(str(path))
    if order.mode == "direct":
        return str(path)
    to = f"inputs/{_safe(name)}" + (f"/{path.name}" if path.is_file() else "")
    if order.mode in ("download", "eval_download"):
        bring.copy(f"input {name}", str(path), to)
    else:
        bring.links.append({"from": str(path), "to": to})
    return str(folder / to)


def _output(name: str, order: OutputOrder, folder: Path, bring: _Bring) -> dict[str, Any]:
    is_file = order.type == "uri_file"
    base = f"outputs/{_safe(name)}"
    place = "" if order.place is None else str(datastore_path(order.place))
    path = f"{base}/{_file_name(PurePosixPath(place).name, name)}" if is_file else base
    direct = bool(place) and order.mode != "upload"
    if direct:
        path = place
        bring.roots.append(place)
    bring.folders.append(str(PurePosixPath(path).parent) if is_file else path)
    return {
        "name": name, "type": order.type, "path": path, "parts": [],
        "upload": not place, "place": "" if direct else place,
    }  # fmt: skip


def _take_over(launch: Launch, bring: _Bring, outputs: list[dict[str, Any]], previous: Path | None) -> None:
    """A retry starts from the outputs so far: from the earlier attempt's folder, else from what the gateway has."""
    if previous is not None:
        bring.copy("earlier outputs", str(previous / "outputs"), "outputs")
        bring.copy("earlier outputs", str(previous / "code" / "outputs"), "code/outputs")
        return
    known = {item["name"]: item["path"] for item in outputs if item["upload"]}
    for name, ref in launch.previous_outputs.items():
        to = known.get(name, "code" if name in ("default", "artifacts") else None)
        if (
            to is not None
            and ref.kind == "tree"
            and any(item["path"] == to and item["type"] == "uri_file" for item in outputs)
        ):
            to = str(PurePosixPath(to).parent)
        if to is not None:
            bring.tree(f"earlier output {name}", ref, to)


def _base(python: str, folder: Path) -> dict[str, str]:
    """Variables of a clean process with the environment's programs first."""
    kept = {key: os.environ[key] for key in INHERITED if key in os.environ}
    own = str(Path(sys.executable).parent)
    rest = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry and entry != own]
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": os.pathsep.join([str(folder / "venv" / "bin"), str(Path(python).parent), *rest]),
        "VIRTUAL_ENV": str(folder / "venv"),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _rendezvous(order: JobOrder) -> dict[str, str]:
    """A free port where the processes of a group find each other."""
    if not process_variables(order):
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return {"MASTER_PORT": str(probe.getsockname()[1])}


def _safe(name: str) -> str:
    """A name as one part of a path; names are checked long before, this is the last fence."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise Refused("PathEscapes", f"{name!r} cannot name an input or output")
    return name


def _file_name(name: str, fallback: str) -> str:
    return _safe(name or fallback)
