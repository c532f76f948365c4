"""Where things come from: lineage graphs, and from one prediction back to the data behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Edge, Json, Kind, Row, Tx
from ferryml.control.rows import need_workspace
from ferryml.domain.errors import NotFound

Direction = Literal["up", "down"]
MOST = 1000
"""Nodes of one answer."""
VERSIONED: dict[str, Kind] = {"data": "data", "model": "model", "environment": "environment"}


def lineage(deps: Deps, caller: Caller, workspace: str, node: str, direction: Direction) -> dict[str, Json]:
    """`{node, nodes, edges}`: all that flowed into it (`up`) or that it flowed into (`down`), nearest first."""
    allow(caller, "asset.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        return graph(tx, workspace, node, direction)


def graph(tx: Tx, workspace: str, node: str, direction: Direction) -> dict[str, Json]:
    """The same inside a transaction."""
    seen, edges, wave = {node: 0}, list[Edge](), [node]
    while wave and len(seen) < MOST:
        found = [edge for here in wave for edge in _edges(tx, workspace, here, direction)]
        edges += found
        further = dict.fromkeys(edge.source if direction == "up" else edge.target for edge in found)
        wave = [name for name in further if name not in seen]
        seen |= dict.fromkeys(wave, 0)
    return {
        "node": node, "nodes": [describe(tx, workspace, name) for name in seen],
        "edges": [edge.model_dump(exclude={"workspace"}) for edge in edges],
    }  # fmt: skip


def trace(deps: Deps, caller: Caller, workspace: str, request_id: str) -> dict[str, Json]:
    """From a prediction's request id to revision, deployment, model, job, code and data.

    The id carries its revision, so nothing has to be stored for each request.
    """
    allow(caller, "endpoint.read", workspace)
    revision = request_id.split("-", 1)[0]
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find("revision", workspace=workspace, name=revision, archived="any", limit=1)
        if not rows:
            raise NotFound(
                "NotFound", f"no deployment of workspace {workspace} answered {request_id[:100]!r}",
                "The id is in the answer's header x-request-id.",
            )  # fmt: skip
        row = rows[0]
        place, _, deployment = row.parent.partition("/")
        endpoint, _, compute = place.partition("@")
        found = graph(tx, workspace, f"deployment:{row.parent}:{revision}", "up")
    return {
        "request_id": request_id, "revision": revision, "endpoint": endpoint, "deployment": deployment,
        **({"compute": compute} if compute else {}),
        "deployed_at": row.created_at.isoformat() if row.created_at else None, "deployed_by": row.created_by,
        **_chain(found["nodes"]), "lineage": found,
    }  # fmt: skip


def describe(tx: Tx, workspace: str, node: str) -> dict[str, Json]:
    """A node with what is known of it."""
    kind, _, rest = node.partition(":")
    name, _, version = rest.rpartition(":") if kind in (*VERSIONED, "deployment") else (rest, "", "")
    told: dict[str, Json] = {"id": node, "kind": kind, "name": name or rest, "version": version}
    row = _row(tx, workspace, kind, name or rest, version)
    if row is not None:
        told |= {"created_at": row.created_at.isoformat() if row.created_at else None, "created_by": row.created_by}
        told |= _extras(row)
    return told


def _row(tx: Tx, workspace: str, kind: str, name: str, version: str) -> Row | None:
    if kind in VERSIONED:
        return tx.get(VERSIONED[kind], workspace, name, version)
    return tx.get("job", workspace, name) if kind == "job" else None


def _extras(row: Row) -> dict[str, Json]:
    if row.kind == "job":
        properties = row.spec.get("properties") or {}
        commit = properties.get("mlflow.source.git.commit", "")
        return {
            "status": row.phase, "compute": row.labels.get("compute", ""), "site": row.status.get("site", ""),
            "command": row.spec.get("command", ""), **({"git_commit": commit} if commit else {}),
        }  # fmt: skip
    content = row.status.get("content") or {}
    return {"type": row.spec.get("type", ""), "zones": content.get("zones", [])}


def _edges(tx: Tx, workspace: str, node: str, direction: Direction) -> list[Edge]:
    return tx.edges(workspace, target=node) if direction == "up" else tx.edges(workspace, source=node)


def _chain(nodes: Iterable[dict[str, Json]]) -> dict[str, Json]:
    """The nearest model and job, and all code, environments and data behind them."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        found.setdefault(str(node["kind"]), []).append(str(node["id"]))
    return {
        "model": next(iter(found.get("model", [])), None), "job": next(iter(found.get("job", [])), None),
        "jobs": found.get("job", []), "models": found.get("model", []), "code": found.get("code", []),
        "environments": found.get("environment", []), "data": found.get("data", []),
    }  # fmt: skip
