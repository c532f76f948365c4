"""What references mean: each becomes a place where its bytes are, with what binds them and who made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ferryml.compile.tree import subtree
from ferryml.control import artifacts, datastores
from ferryml.control.context import Deps
from ferryml.control.ports import Kind, Row, Tx
from ferryml.control.rows import missing, need
from ferryml.domain.errors import NotFound, Refused
from ferryml.domain.orders import DatastorePath, TreeRef
from ferryml.domain.refs import (
    AssetRef,
    ContentRef,
    DatastoreRef,
    JobOutputRef,
    LocalRef,
    Ref,
    RegistryRef,
    RunRef,
    UriRef,
    parse_ref,
)
from ferryml.domain.residency import Binding

AssetKind = Literal["data", "model", "code", "environment", "component"]


class Content(BaseModel):
    """Where some content is. One of `tree`, `place`, `uri` is given. Kept in the status of asset rows."""

    model_config = ConfigDict(frozen=True)

    tree: TreeRef | None = None
    place: DatastorePath | None = None
    uri: str | None = None
    type: str = ""
    """uri_folder, mlflow_model, ...; empty when nobody said."""
    zones: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    site: str = ""
    """The only site that holds or reaches it; empty: any."""
    site_only: bool = False
    """`tree` is in the site store of `site`; the server has no bytes of it."""
    node: str = ""
    """Lineage node: `data:digits:2`, `job:calm_fox_x`, `code:HASH`; empty for anonymous files."""
    job: str = ""
    """The job that made it."""

    def binding(self, name: str) -> Binding:
        """What it binds, under the name that messages should use."""
        return Binding(self.node or name, self.zones, self.release)


class Contents:
    """Looks references up in one workspace. Every look is a short reading transaction of its own."""

    def __init__(self, deps: Deps, workspace: str) -> None:
        self.deps = deps
        self.workspace = workspace

    def of(self, text: str, kinds: Sequence[AssetKind] = ("data", "model")) -> Content:
        """What the reference means; asset names are looked for among `kinds`, in that order.

        Raises Refused (`BadReference`, `NotSupported`), NotFound (`NotFound`, `BlobMissing`).
        """
        ref = parse_ref(text)
        match ref:
            case ContentRef():
                return Content(tree=self.uploaded(ref))
            case AssetRef():
                return self.asset(ref, kinds)
            case DatastoreRef():
                return self.stored(ref)
            case JobOutputRef():
                return self.output(ref)
            case RunRef():
                return self.artifact(ref)
            case UriRef():
                return Content(uri=_supported(ref))
            case _:
                raise _refused(ref)

    def row(self, ref: AssetRef, kinds: Sequence[AssetKind]) -> Row:
        """The row of an asset reference: by version, by label, or the most recently created."""
        with self.deps.store.read() as tx:
            for kind in kinds:
                if (row := version_of(tx, kind, self.workspace, ref.name, ref.version, ref.label)) is not None:
                    return row
        wanted = ref.version or (f"@{ref.label}" if ref.label else "")
        raise missing(kinds[0], self.workspace, ref.name, wanted)

    def asset(self, ref: AssetRef, kinds: Sequence[AssetKind]) -> Content:
        """The content of a registered asset."""
        if not ref.version and not ref.label:
            raise Refused(
                "BadReference", f"{ref} names no version", f"Write azureml:{ref.name}:VERSION or {ref}@latest."
            )  # fmt: skip
        row = self.row(ref, kinds)
        kept = Content.model_validate(row.status.get("content") or {})
        return kept.model_copy(update={"node": node_of(row)})

    def uploaded(self, ref: ContentRef) -> TreeRef:
        """Bytes that a client uploaded, with all files of a folder there."""
        if ref.kind == "file":
            size = artifacts.visible(self.deps, self.workspace, ref.digest)
            return TreeRef(digest=ref.digest, kind="file", name=ref.name or "file", size=size)
        tree = artifacts.manifest(self.deps, self.workspace, ref.digest)
        return TreeRef(digest=ref.digest, name=ref.name, size=sum(entry.size for entry in tree.entries))

    def stored(self, ref: DatastoreRef) -> Content:
        """A path on a datastore; bound to the datastore's zone."""
        with self.deps.store.read() as tx:
            place, zone, site = datastores.reach(tx, self.workspace, ref.datastore, ref.path)
        return Content(place=place, zones=(zone,) if zone else (), site=site)

    def output(self, ref: JobOutputRef) -> Content:
        """An output of a job that has ended, or a path inside it."""
        with self.deps.store.read() as tx:
            row = need(tx, "job", self.workspace, ref.job)
        outputs = row.status.get("outputs") or {}
        name = "default" if ref.output == "artifacts" and "artifacts" not in outputs else ref.output
        if name not in outputs or outputs[name].get("content") is None:
            have = ", ".join(sorted(outputs)) or f"none yet, it is {row.phase}"
            raise NotFound(
                "NotFound", f"job {ref.job} has no output {ref.output!r}; it has: {have}", "Name one of them."
            )
        kept = Content.model_validate(outputs[name]["content"])
        kept = kept.model_copy(update={"node": f"job:{row.name}", "job": row.name})
        return self.inside(kept, ref.path) if ref.path else kept

    def artifact(self, ref: RunRef) -> Content:
        """Files below an MLflow run, which may be named by its job."""
        with self.deps.store.read() as tx:
            job = tx.get("job", self.workspace, ref.run)
        run = str(job.status.get("mlflow_run_id") or ref.run) if job else ref.run
        prefix = self.deps.tracking.artifacts(self.workspace, run, ref.path)
        tree = artifacts.of_paths(self.deps, self.workspace, prefix)
        return Content(tree=tree, node=f"job:{job.name}" if job else "", job=job.name if job else "")

    def inside(self, content: Content, path: str) -> Content:
        """A file or folder inside some content."""
        if content.place is not None:
            joined = f"{content.place.path}/{path}".strip("/")
            return content.model_copy(update={"place": content.place.model_copy(update={"path": joined})})
        if content.tree is None or content.tree.kind == "file":
            raise Refused("BadReference", f"there is no path {path!r} inside a single file or URI")
        if content.site_only:
            raise Refused(
                "NotSupported",
                f"the files stay in site {content.site}, so the server cannot look for {path!r} among them",
                "Use the whole output, or let the job write that part as an output of its own.",
            )
        tree = artifacts.manifest(self.deps, self.workspace, content.tree.digest)
        name = path.rsplit("/", 1)[-1]
        for entry in tree.entries:
            if entry.path == path:
                file = TreeRef(digest=entry.digest, kind="file", name=name, size=entry.size)
                return content.model_copy(update={"tree": file})
        part = subtree(tree, path)
        if not part.entries:
            raise NotFound("NotFound", f"there is nothing at {path!r}", "See what the output holds.")
        return content.model_copy(update={"tree": artifacts.store_tree(self.deps, self.workspace, part, name)})


def version_of(tx: Tx, kind: Kind, workspace: str, name: str, version: str, label: str) -> Row | None:
    """By version, by label (`latest` is the most recently created), or the latest when neither is given."""
    if version:
        return tx.get(kind, workspace, name, version)
    if not label or label == "latest":
        return tx.latest(kind, workspace, name)
    rows = tx.find(kind, workspace=workspace, name=name, label=(label, "yes"), newest_first=True, limit=1)
    return rows[0] if rows else None


def node_of(row: Row) -> str:
    """The lineage node of an asset's row."""
    return f"{row.kind}:{row.name}:{row.version}"


def _supported(ref: UriRef) -> str:
    if ref.scheme in ("http", "https"):
        return ref.uri
    raise Refused(
        "NotSupported", f"{ref.scheme}: addresses are not read by sites yet",
        "Upload the files, or make a datastore and write azureml://datastores/NAME/paths/PATH.",
    )  # fmt: skip


def _refused(ref: Ref) -> Refused:
    if isinstance(ref, RegistryRef):
        return Refused("NotSupported", f"registry {ref.registry!r} is not known here", "Register the asset here.")
    assert isinstance(ref, LocalRef)  # noqa: S101  the only kind left
    return Refused(
        "BadReference", f"{ref.path[:200]!r} is a path on the author's machine; its content was not uploaded",
        "The `ferry` command uploads by itself; over REST upload first and write content:tree:sha256:...",
    )  # fmt: skip
