"""Turns a launch into the plan that the runner carries out: what to bring, where it lies, what to run, what to keep."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from ferryml.compile.job import Places, job_variables, local_notes, process_count, process_variables, rendered_command
from ferryml.compile.plan import (
    Bring,
    bring_code,
    bring_earlier,
    bring_input,
    brought,
    limits,
    output_item,
    rest_item,
    safe,
)
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath, InputOrder, JobOrder, OutputOrder
from ferryml.domain.seen import Launch
from ferryml.settings.site import SiteSettings

INHERITED = (
    "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH",
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "PIP_CERT", "PIP_CONFIG_FILE", "XDG_CACHE_HOME", "OMP_NUM_THREADS",
)  # fmt: skip
"""Of the agent's own variables only these reach user code: the others may hold secrets."""


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
    order, bring = launch.order, Bring(way)
    bring_code(order, bring)
    inputs = {name: _input(name, value, folder, bring) for name, value in order.inputs.items() if value.literal is None}
    outputs = [_output(name, value, bring) for name, value in order.outputs.items()]
    paths = {item["name"]: os.path.join(folder, item["path"]) for item in outputs}
    _take_over(launch, bring, outputs, previous)
    outputs.append(rest_item(order, bring))
    places = Places(str(folder / "code"), launch.gateway_url, inputs, paths)
    return {
        "overlay": str(Path(python).parents[1]),
        "uid": launch.uid, "attempt": launch.attempt, "gateway": launch.gateway_url,
        "ranks": process_count(order), "command": rendered_command(order, places),
        "env": {
            **_base(python, folder), **_rendezvous(order), **job_variables(order, places, launch.attempt, launch.uid)
        },
        "outputs": outputs, "log_prefix": launch.log_prefix, "notes": list(local_notes(order)), **brought(bring),
        **limits(
            order, upload_grace_s=settings.upload_grace_s, log_flush_s=settings.log_flush_s,
            cancel_grace_s=settings.cancel_grace_s, max_log_bytes=settings.max_log_bytes,
        ),
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


def _input(name: str, order: InputOrder, folder: Path, bring: Bring) -> str:
    """Where the program finds the input; what it takes to get it there is added to `bring`."""
    if order.uri is None and order.place is not None:
        return _from_place(name, order, order.place, folder, bring)
    return bring_input(name, order, str(folder), bring)


def _from_place(name: str, order: InputOrder, place: DatastorePath, folder: Path, bring: Bring) -> str:
    path = datastore_path(place)
    if not path.exists():
        raise Refused("StagingFailed", f"input {name}: {place.path!r} is not on datastore {place.datastore!r}")
    bring.roots.append(str(path))
    if order.mode == "direct":
        return str(path)
    to = f"inputs/{safe(name)}" + (f"/{path.name}" if path.is_file() else "")
    if order.mode in ("download", "eval_download"):
        bring.copy(f"input {name}", str(path), to)
    else:
        bring.links.append({"from": str(path), "to": to})
    return str(folder / to)


def _output(name: str, order: OutputOrder, bring: Bring) -> dict[str, Any]:
    return output_item(name, order, "" if order.place is None else str(datastore_path(order.place)), bring)


def _take_over(launch: Launch, bring: Bring, outputs: list[dict[str, Any]], previous: Path | None) -> None:
    """A retry starts from the outputs so far: from the earlier attempt's folder, else from what the gateway has."""
    if previous is None:
        bring_earlier(launch.previous_outputs, outputs, bring)
        return
    bring.copy("earlier outputs", str(previous / "outputs"), "outputs")
    bring.copy("earlier outputs", str(previous / "code" / "outputs"), "code/outputs")


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
