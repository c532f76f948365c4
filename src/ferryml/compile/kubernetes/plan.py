"""Turns a launch into the plan of its pods, the same for all ranks, and says which volumes they need for it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.compile.job import Places, job_variables, rendered_command
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.distribution import Group, group_of
from ferryml.compile.kubernetes.mounts import OBJECTS, DataMounts
from ferryml.compile.kubernetes.names import attempt_name
from ferryml.compile.plan import (
    Bring,
    bring_code,
    bring_earlier,
    bring_input,
    brought,
    file_name,
    limits,
    output_item,
    read_only,
    rest_item,
    safe,
)
from ferryml.domain.orders import DatastorePath, InputOrder, JobOrder, OutputOrder
from ferryml.domain.seen import Launch

FERRY = "/ferry"
FOLDER = f"{FERRY}/job"
ENVIRONMENT = f"{FERRY}/env"
PLAN = "/ferry-plan"
TOKEN = "/ferry-token"  # noqa: S105  a folder
DOOR_PORT = 8471
DOOR = f"http://127.0.0.1:{DOOR_PORT}"
"""Where programs in a pod find MLflow and artifacts, in plain HTTP."""
HOSTS_PATIENCE_S = 600

Json = Any


@dataclass(frozen=True, slots=True)
class Archive:
    """A prepared environment in the site store."""

    digest: str
    size: int


def make_plan(
    launch: Launch, cluster: Cluster, mounts: DataMounts, environment: Archive | None
) -> tuple[dict[str, Json], Group]:
    """The content of job.json, and how the pods work together; volumes are added to `mounts`.

    Raises:
        Refused: PathEscapes, NotSupported, StagingFailed, BadValue or UnresolvedExpression; nothing was made.
    """
    order, bring = launch.order, Bring()
    bring_code(order, bring)
    inputs = {name: _input(name, value, bring, mounts) for name, value in order.inputs.items() if value.literal is None}
    outputs = [_output(name, value, bring, mounts) for name, value in order.outputs.items()]
    paths = {name: _output_path(item, order.outputs[name]) for name, item in zip(order.outputs, outputs, strict=True)}
    bring_earlier(launch.previous_outputs, outputs, bring)
    outputs.append(rest_item(order, bring))
    places = Places(f"{FOLDER}/code", DOOR, inputs, paths)
    name = attempt_name(launch.uid, launch.attempt)
    group = group_of(order, rendered_command(order, places), name, FOLDER)
    plan = {
        "uid": launch.uid, "attempt": launch.attempt, "gateway": cluster.gateway_url, "ca": f"{PLAN}/ca.pem",
        "token_file": f"{TOKEN}/token", "door_port": DOOR_PORT,
        "overlay": "", "environment": _archive(environment),
        "path": [f"{ENVIRONMENT}/bin"] if environment else [],
        "env": {**_base(), **job_variables(order, places, launch.attempt, launch.uid), **group.env},
        "env_defaults": {"LANG": "C.UTF-8"},
        "outputs": outputs, "log_prefix": launch.log_prefix, "notes": [], "checkpoint_s": cluster.checkpoint_s,
        **_group(group), **brought(bring),
        **limits(
            order, upload_grace_s=cluster.upload_grace_s, log_flush_s=cluster.log_flush_s,
            cancel_grace_s=cluster.cancel_grace_s, max_log_bytes=cluster.max_log_bytes,
        ),
    }  # fmt: skip
    return plan, group


def sources(order: JobOrder) -> dict[str, dict[str, Json]]:
    """What the gateway fetches and takes for this job from outside the site store, by the id that the plan uses.

    `inputs.NAME` or `outputs.NAME` -> {"uri": ...} or {"place": DatastorePath}. The gateway is told when the attempt
    is admitted, and takes no address from a pod.
    """
    found: dict[str, dict[str, Json]] = {}
    for name, value in order.inputs.items():
        if value.mode == "direct":
            continue
        if value.uri is not None:
            found[f"inputs.{name}"] = {"uri": value.uri}
        elif value.place is not None and value.place.kind in OBJECTS:
            found[f"inputs.{name}"] = {"place": value.place.model_dump(mode="json")}
    for name, output in order.outputs.items():
        if output.place is not None and output.place.kind in OBJECTS and output.mode != "direct":
            found[f"outputs.{name}"] = {"place": output.place.model_dump(mode="json")}
    return found


def _input(name: str, order: InputOrder, bring: Bring, mounts: DataMounts) -> str:
    if order.uri is not None or order.place is None:
        path = bring_input(name, order, FOLDER, bring)
        if order.uri is not None and order.mode != "direct":
            bring.fetch[-1]["source"] = f"inputs.{name}"
        return path
    if order.place.kind in OBJECTS:
        return _from_objects(name, order, order.place, bring)
    path = mounts.path(order.place, write=False)
    root = mounts.root_of(order.place, write=False)
    bring.roots.append(root)
    if order.mode == "direct":
        return path
    to = _to(name, order, path)
    item = {"what": f"input {name}", "from": path, "to": to, "within": root}
    (bring.links if read_only(order) else bring.copies).append(item)
    return posixpath.join(FOLDER, to)


def _from_objects(name: str, order: InputOrder, place: DatastorePath, bring: Bring) -> str:
    """Object stores are read through the gateway, which has the credentials; `direct` leaves it to the program."""
    address = object_url(place)
    if order.mode == "direct":
        return address
    to = _to(name, order, place.path)
    item = {"what": f"input {name}", "kind": "place", "source": f"inputs.{name}", "to": to}
    bring.fetch.append({**item, "single": order.type == "uri_file", "read_only": read_only(order)})
    return posixpath.join(FOLDER, to)


def _to(name: str, order: InputOrder, path: str) -> str:
    to = f"inputs/{safe(name)}"
    return f"{to}/{file_name(posixpath.basename(path.rstrip('/')), name)}" if order.type == "uri_file" else to


def _output(name: str, order: OutputOrder, bring: Bring, mounts: DataMounts) -> dict[str, Json]:
    if order.place is None:
        return output_item(name, order, "", bring)
    if order.place.kind not in OBJECTS:
        path = mounts.path(order.place, write=True)
        return output_item(name, order, path, bring)
    if order.mode == "direct":
        url = object_url(order.place)
        return {"name": name, "type": order.type, "path": url, "parts": [], "upload": False, "place": ""}
    item = output_item(name, order.model_copy(update={"mode": "upload"}), f"/{order.place.path.strip('/')}", bring)
    return {**item, "place": "", "source": f"outputs.{name}"}


def _output_path(item: Mapping[str, Json], order: OutputOrder) -> str:
    path = str(item["path"])
    return path if "://" in path else posixpath.join(FOLDER, path)


def object_url(place: DatastorePath) -> str:
    """`s3://bucket/prefix/path` of a place on an object store."""
    return f"{place.root.rstrip('/')}/{place.path.strip('/')}".rstrip("/")


def _archive(environment: Archive | None) -> dict[str, Json] | None:
    return None if environment is None else {"digest": environment.digest, "size": environment.size}


def _group(group: Group) -> dict[str, Json]:
    return {
        "instances": group.instances, "ranks": group.ranks, "command": group.command, "rank_env": group.rank_env,
        "commands": group.commands, "mpi": group.mpi, "await_hosts": group.await_hosts,
        "hosts_patience_s": HOSTS_PATIENCE_S,
    }  # fmt: skip


def _base() -> dict[str, str]:
    return {"PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
