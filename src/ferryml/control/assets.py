"""Assets: data, models, environments, code and components; versions never change, labels and words about them may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from ferryml.control.contents import AssetKind, Content, Contents, node_of, version_of
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.environments import compiled
from ferryml.control.ports import Edge, Json, Row, Tx
from ferryml.control.rows import VERSIONED, missing, need_workspace, page, parsed, shown
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.names import check
from ferryml.domain.refs import AssetRef, ContentRef, RunRef, parse_ref
from ferryml.domain.residency import released
from ferryml.domain.spec.code import Code
from ferryml.domain.spec.data import Data
from ferryml.domain.spec.environment import Environment
from ferryml.domain.spec.model import Model
from ferryml.domain.spec.workspace import Workspace

Spec = Data | Model | Environment | Code
SPECS: dict[str, type[Spec]] = {"data": Data, "model": Model, "environment": Environment, "code": Code}
CHANGEABLE = ("description", "tags", "properties", "stage")
LATEST = "latest"
TRIES = 20
CREATED = "Created"
"""Phase of a model that MLflow has not been told of yet."""


def create(deps: Deps, caller: Caller, workspace: str, kind: AssetKind, document: Mapping[str, Any]) -> Json:
    """A new version; the number after the highest when none is given (the content's hash for code)."""
    allow(caller, "asset.write", workspace)
    if kind == "component":
        raise Refused("NotSupported", "components are not supported yet", "Submit command jobs.")
    spec = parsed(SPECS[kind], document)
    with deps.store.read() as tx:
        aliases = Workspace.model_validate(need_workspace(tx, workspace).spec).aliases
    if isinstance(spec, Environment):
        compiled(Contents(deps, workspace), spec, aliases)
        content = Content()
    else:
        content = locate(deps, workspace, spec)
    row = register(deps, caller, workspace, kind, spec, content)
    return view(row)


def register(
    deps: Deps, caller: Caller, workspace: str, kind: AssetKind, spec: Spec, content: Content,
    marks: Mapping[str, str] | None = None,
) -> Row:  # fmt: skip
    """The row of a new version, in a transaction of its own; `marks` are labels for loops to find it by."""
    return changed(deps, lambda now: insert(now, caller, workspace, kind, spec, content, marks))


def insert(
    now: Turn, caller: Caller, workspace: str, kind: AssetKind, spec: Spec, content: Content,
    marks: Mapping[str, str] | None = None,
) -> Row:  # fmt: skip
    """Insert a version with its lineage; the same content under the same explicit version is a conflict too."""
    name = spec.name or (content.tree.digest.removeprefix("sha256:") if content.tree else "")
    check("asset", name)
    labels = dict(marks or {}) | ({"datastore": content.place.datastore} if content.place else {})
    status: dict[str, Any] = {"content": content.model_dump(mode="json", exclude={"node"})}
    for last in (False,) * (TRIES - 1) + (True,):
        version = check("version", _version(now.tx, workspace, kind, name, spec, content))
        row = Row(
            kind=kind, workspace=workspace, name=name, version=version, created_by=caller.name,
            spec={**spec.model_dump(mode="json"), "name": name, "version": version}, status=status, labels=labels,
            phase=CREATED if kind == "model" else "Succeeded",
        )  # fmt: skip
        try:
            row = now.tx.insert(row)
            break
        except Conflict:
            # Somebody else took the next number meanwhile; a version that was asked for is not replaced by another.
            if spec.version or kind == "code" or last:
                raise
    if content.job:
        now.tx.link(Edge(workspace=workspace, source=f"job:{content.job}", relation="output", target=node_of(row)))
    now.record(caller, workspace, f"{kind}.create", node_of(row), {"zones": list(content.zones)})
    now.wake("loops")
    return row


def locate(deps: Deps, workspace: str, spec: Data | Model | Code) -> Content:
    """Where the asset's content is and what binds it.

    Bound data must be where it is bound already: uploading it to the server would be the very thing that is forbidden.
    """
    ref = parse_ref(spec.path)
    content = Contents(deps, workspace).of(spec.path)
    declared = getattr(spec, "type", "")
    if isinstance(ref, AssetRef):
        content = content.model_copy(update={"node": ""})
    if isinstance(spec, Data):
        content = _bound(spec, content, isinstance(ref, ContentRef | RunRef))
    return content.model_copy(update={"type": declared})


def show(deps: Deps, caller: Caller, workspace: str, kind: AssetKind, name: str, version: str) -> Json:
    """One version; `version` may be `@latest` or `@LABEL`."""
    allow(caller, "asset.read", workspace)
    with deps.store.read() as tx:
        return view(_one(tx, kind, workspace, name, version))


def list_assets(
    deps: Deps, caller: Caller, workspace: str, kind: AssetKind, name: str | None,
    archived: Literal["no", "yes", "any"], span: tuple[int, int],
) -> dict[str, Json]:  # fmt: skip
    """Versions, newest first; `span` is (after, limit)."""
    allow(caller, "asset.read", workspace)
    after, limit = span
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find(
            kind, workspace=workspace, name=name, archived=archived, after=after, limit=limit, newest_first=True
        )
    return page(rows, limit, [view(row) for row in rows])


def update(
    deps: Deps, caller: Caller, workspace: str, at: tuple[AssetKind, str, str], changes: Mapping[str, Any]
) -> Json:
    """Change words about a version (description, tags, properties, stage) or give it labels (`labels: [name]`)."""
    allow(caller, "asset.write", workspace)
    kind, name, version = at
    if unknown := sorted(set(changes) - {*CHANGEABLE, "labels"}):
        raise Refused(
            "NotSupported", f"{unknown[0]!r} of a version never changes", f"Create a new version of {name}."
        )  # fmt: skip
    words = {key: value for key, value in changes.items() if key != "labels"}

    def work(now: Turn) -> Row:
        row = _one(now.tx, kind, workspace, name, version)
        spec = parsed(SPECS[kind], {**row.spec, **words})
        labels = _labels(now, row, changes["labels"]) if "labels" in changes else row.labels
        now.record(caller, workspace, f"{kind}.update", node_of(row), {"fields": sorted(changes)})
        return now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json"), "labels": labels}))

    return view(changed(deps, work))


def archive(deps: Deps, caller: Caller, workspace: str, at: tuple[AssetKind, str, str], archived: bool = True) -> Json:
    """Hide a version from lists and from @latest, or show it again; nothing is deleted."""
    allow(caller, "asset.write", workspace)
    kind, name, version = at

    def work(now: Turn) -> Row:
        row = _one(now.tx, kind, workspace, name, version)
        now.record(caller, workspace, f"{kind}.{'archive' if archived else 'restore'}", node_of(row))
        return now.tx.update(row.model_copy(update={"archived": archived}))

    return view(changed(deps, work))


def view(row: Row) -> Json:
    """An asset as it is shown."""
    content = row.status.get("content") or {}
    ours = {
        "content": content, "lock": bool(row.status.get("lock")), "residency": {
            "zones": content.get("zones", []), "release": content.get("release", [])},
    }  # fmt: skip
    if row.kind == "environment":
        ours["images"] = row.status.get("images") or {}
    extra = {"job_name": content.get("job") or None} if row.kind == "model" else {}
    return shown(row, ours, provisioning_state="Succeeded", **extra)


def _bound(spec: Data, content: Content, on_server: bool) -> Content:
    zones = tuple(spec.zones) or content.zones
    if spec.zones and content.zones and (outside := sorted(set(spec.zones) - set(content.zones))):
        raise Refused(
            "ResidencyViolation",
            f"the content is bound to {', '.join(content.zones)} already; zone {outside[0]} is not among them",
            "Leave zones out, or name a part of those.",
        )
    if zones and on_server:
        raise Refused(
            "ResidencyViolation",
            f"data bound to {', '.join(zones)} may not be uploaded: the server is in no zone",
            "Put it on a datastore of a site in the zone and write path: azureml://datastores/NAME/paths/PATH.",
        )
    given: tuple[str, ...] = released(spec.release)
    if content.job and content.zones:
        # What a job made of bound data is released by the owner of that data; the job's author may only say less.
        said = "release" in spec.model_fields_set
        given = tuple(matter for matter in content.release if not said or matter in given)
    return content.model_copy(update={"zones": zones, "release": given if zones else ()})


def _labels(now: Turn, row: Row, wanted: Any) -> dict[str, str]:
    if not isinstance(wanted, list) or not all(isinstance(label, str) for label in wanted):
        raise Refused("BadValue", "labels is a list of names")
    for label in wanted:
        check("version", label)
        if label == LATEST:
            raise Refused("BadValue", "the label latest follows the newest version by itself")
        for other in now.tx.find(
            row.kind, workspace=row.workspace, name=row.name, label=(label, "yes"), archived="any"
        ):
            if other.version != row.version:
                kept = {key: value for key, value in other.labels.items() if key != label}
                now.tx.update(other.model_copy(update={"labels": kept}))
    kept = {key: value for key, value in row.labels.items() if value != "yes"}
    return {**kept, **dict.fromkeys(wanted, "yes")}


def _one(tx: Tx, kind: AssetKind, workspace: str, name: str, version: str) -> Row:
    need_workspace(tx, workspace)
    label = version[1:] if version.startswith("@") else ""
    row = version_of(tx, kind, workspace, name, "" if label else version, label)
    if row is None:
        raise missing(kind, workspace, name, version)
    return row


def _version(tx: Tx, workspace: str, kind: AssetKind, name: str, spec: Spec, content: Content) -> str:
    if spec.version is None and kind == "code" and content.tree:
        return content.tree.digest.removeprefix("sha256:")[:32]
    return spec.version or _next(tx, kind, workspace, name)


def _next(tx: Tx, kind: AssetKind, workspace: str, name: str) -> str:
    rows = tx.find(kind, workspace=workspace, name=name, archived="any", limit=10_000)
    return str(1 + max((int(row.version) for row in rows if row.version.isdecimal()), default=0))


def kind_of(plural: str) -> AssetKind:
    """`datas` is data, `models` is model."""
    kind = plural.removesuffix("s")
    if kind not in VERSIONED:
        raise Refused("BadRequest", f"{plural!r} is not a kind of asset")
    return cast(AssetKind, kind)
