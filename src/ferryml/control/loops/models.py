"""Keeps MLflow's registry and Ferry's models one: what is registered in either appears in the other."""

from __future__ import annotations

from ferryml.compile.tree import parse_tree
from ferryml.control import artifacts, assets
from ferryml.control.contents import Content
from ferryml.control.context import SYSTEM, Deps, Turn, changed, turn
from ferryml.control.ports import ModelVersion, Row
from ferryml.domain.errors import Conflict, NotFound, Refused
from ferryml.domain.orders import Residency, Tree, TreeEntry, TreeRef
from ferryml.domain.residency import of_output
from ferryml.domain.spec.model import Model

OVERLAP_MS = 10 * 60 * 1000
"""Clocks of replicas differ and commits overtake each other, so each look reaches back this far."""
DONE = "Succeeded"


def tick(deps: Deps) -> int:
    """Both directions, all workspaces; how many models were carried over."""
    with deps.store.read() as tx:
        workspaces = [row.name for row in tx.find("workspace")]
        fresh = tx.find("model", phases=(assets.CREATED,), archived="any", limit=deps.settings.loop_batch)
    done = sum(_tell_mlflow(deps, row) for row in fresh)
    return done + sum(_adopt_all(deps, workspace) for workspace in workspaces)


def _adopt_all(deps: Deps, workspace: str) -> int:
    name = f"models.{workspace}"
    with deps.store.read() as tx:
        row = tx.get("setting", "", name)
    since = int(row.spec["since_ms"]) if row else 0
    found = deps.tracking.model_versions(workspace, max(0, since - OVERLAP_MS))
    adopted = [_adopt(deps, version) for version in found]
    waiting = [version.created_ms for version, done in zip(found, adopted, strict=True) if not done]
    newest = min(waiting, default=max((version.created_ms for version in found), default=0))
    if newest > since:
        with turn(deps) as now:
            current = now.tx.get("setting", "", name)
            if current is None:
                now.tx.insert(Row(kind="setting", name=name, spec={"since_ms": newest}))
            else:
                now.tx.update(current.model_copy(update={"spec": {"since_ms": newest}}))
    return sum(adopted)


def _adopt(deps: Deps, version: ModelVersion) -> int:
    """A Ferry model for what a client of MLflow registered."""
    workspace = version.workspace
    with deps.store.read() as tx:
        known = tx.get("model", workspace, version.name, version.version)
        jobs = tx.find("job", workspace=workspace, label=("run", version.run_id), archived="any", limit=1)
    if known is None:
        try:
            tree = _named(artifacts.of_paths(deps, workspace, version.source))
            content = _made_by(deps, version, tree, jobs[0] if jobs else None)
            spec = Model(
                name=version.name, version=version.version, type=content.type,
                path=f"content:{tree.kind}:{tree.digest}:{tree.name}",
                properties={"mlflow.run_id": version.run_id} if version.run_id else {},
            )  # fmt: skip
            known = changed(deps, lambda now: _insert(now, workspace, spec, content))
        except (NotFound, Refused, ValueError):
            return 0
    # From now on MLflow counts it as Ferry's, so that it is not found again.
    deps.tracking.register_model(workspace, version.name, version.version, version.source, version.run_id)
    return 1


def _insert(now: Turn, workspace: str, spec: Model, content: Content) -> Row:
    row = assets.insert(now, SYSTEM, workspace, "model", spec, content)
    return now.tx.update(row.model_copy(update={"phase": DONE}))


def _made_by(deps: Deps, version: ModelVersion, tree: TreeRef, job: Row | None) -> Content:
    kind = "mlflow_model" if _is_mlflow(deps, tree) else "custom_model"
    if job is None:
        return Content(tree=tree, type=kind)
    bound = of_output(Residency.model_validate(job.status.get("residency") or {}), kind)
    release = bound.release if bound.zones else ()
    return Content(tree=tree, type=kind, job=job.name, zones=bound.zones, release=release)


def _named(tree: TreeRef) -> TreeRef:
    """MLflow keeps logged models in folders called artifacts; scripts expect the name they were logged under."""
    return tree.model_copy(update={"name": "model"}) if tree.name == "artifacts" else tree


def _is_mlflow(deps: Deps, tree: TreeRef) -> bool:
    if tree.kind == "file":
        return False
    return any(entry.path == "MLmodel" for entry in _entries(deps, tree))


def _tell_mlflow(deps: Deps, row: Row) -> int:
    """An MLflow model version for a Ferry model; what stays in a site is not told."""
    content = Content.model_validate(row.status["content"])
    if content.tree is not None and not content.site_only:
        source = f"ferry-models/{row.name}/{row.version}"
        run = _run_of(deps, row.workspace, content.job)
        with turn(deps) as now:
            for entry in _entries(deps, content.tree):
                now.tx.put_path(row.workspace, f"{source}/{entry.path}", entry.digest, entry.size)
        try:
            deps.tracking.register_model(row.workspace, row.name, row.version, source, run)
        except Conflict:
            # MLflow has that number with other content; Ferry's is still there under its own name.
            return changed(deps, lambda now: _mark(now, row, "MLflow has another version of that number"))
    return changed(deps, lambda now: _mark(now, row, ""))


def _entries(deps: Deps, tree: TreeRef) -> tuple[TreeEntry, ...]:
    if tree.kind == "file":
        return (TreeEntry(path=tree.name or "file", digest=tree.digest, size=tree.size),)
    manifest: Tree = parse_tree(b"".join(deps.blobs.read(tree.digest)))
    return manifest.entries


def _run_of(deps: Deps, workspace: str, job: str) -> str:
    if not job:
        return ""
    with deps.store.read() as tx:
        row = tx.get("job", workspace, job)
    return str(row.status.get("mlflow_run_id", "")) if row else ""


def _mark(now: Turn, row: Row, note: str) -> int:
    current = now.tx.get("model", row.workspace, row.name, row.version)
    if current is None or current.phase != assets.CREATED:
        return 0
    status = {**current.status, "mlflow_note": note} if note else current.status
    now.tx.update(current.model_copy(update={"phase": DONE, "status": status}))
    return 1
