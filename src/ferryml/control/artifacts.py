"""Files of a workspace: uploaded once per content, checked both ways, seen by that workspace alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ferryml.compile.tree import bytes_digest, parse_tree, tree_bytes
from ferryml.control.context import Caller, Deps, allow, turn
from ferryml.control.ports import Json
from ferryml.domain.errors import NotFound, Refused, TooLarge
from ferryml.domain.orders import Tree, TreeEntry, TreeRef

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MAX_MANIFEST_BYTES = 256 * 1024**2
MAX_ASKED = 10_000


@dataclass(frozen=True, slots=True)
class Upload:
    """One resumable upload. Its id is this, sealed: no table of sessions, nothing to leak, nothing to forge."""

    workspace: str
    digest: str
    size: int
    owner: str
    """Token id, or `SITE/gateway`: two uploaders never write into each other's parts."""

    @property
    def spool(self) -> str:
        """The name of the unfinished bytes."""
        return hashlib.sha256(f"{self.workspace}\n{self.digest}\n{self.size}\n{self.owner}".encode()).hexdigest()


def missing(deps: Deps, caller: Caller, workspace: str, digests: Sequence[str]) -> list[str]:
    """Which of the digests this workspace has not; what other workspaces have is not told."""
    allow(caller, "asset.write", workspace)
    if len(digests) > MAX_ASKED:
        raise TooLarge("LimitExceeded", f"{len(digests)} digests are more than {MAX_ASKED}", "Ask in parts.")
    for digest in digests:
        check_digest(digest)
    with deps.store.read() as tx:
        known = tx.blob_places(workspace, digests)
    return [digest for digest in dict.fromkeys(digests) if "" not in known.get(digest, (0, ()))[1]]


def start(deps: Deps, caller: Caller, workspace: str, digest: str, size: int) -> Json:
    """Begin or resume an upload: `{id, offset, done}`."""
    allow(caller, "asset.write", workspace)
    return begin(deps, Upload(workspace, check_digest(digest), size, caller.token or caller.name))


def begin(deps: Deps, upload: Upload) -> Json:
    """The same for anybody whose right was checked."""
    if not 0 <= upload.size <= deps.settings.max_upload_bytes:
        raise TooLarge(
            "UploadTooLarge", f"{upload.size} bytes are more than {deps.settings.max_upload_bytes}",
            "Reference it through a datastore, or raise max_upload_bytes.",
        )  # fmt: skip
    with deps.store.read() as tx:
        known = tx.blob_places(upload.workspace, [upload.digest])
    done = "" in known.get(upload.digest, (0, ()))[1]
    offset = upload.size if done else deps.blobs.upload_offset(upload.spool)
    return {"id": _sealed(deps, upload), "offset": offset, "done": done}


def opened(deps: Deps, ident: str, workspace: str | None, owner: str) -> Upload:
    """The upload that an id stands for; NotFound unless it is this owner's."""
    try:
        fields = json.loads(deps.keys.unseal(ident))
        upload = Upload(fields["workspace"], fields["digest"], fields["size"], fields["owner"])
    except (Refused, ValueError, KeyError, TypeError) as error:
        raise _no_upload() from error
    if upload.owner != owner or workspace not in (None, upload.workspace):
        raise _no_upload()
    return upload


def append(deps: Deps, upload: Upload, offset: int, chunks: Iterable[bytes]) -> int:
    """Add bytes at `offset`; the new offset. Raises OffsetMismatch, UploadTooLarge, DiskFull."""
    return deps.blobs.upload_append(upload.spool, offset, chunks, upload.size)


def finish(deps: Deps, upload: Upload) -> Json:
    """Check the digest and let the workspace see it; idempotent."""
    size = deps.blobs.upload_finish(upload.spool, upload.digest)
    if size != upload.size:
        raise Refused("DigestMismatch", f"{upload.digest} has {size} bytes, not {upload.size}")
    with turn(deps) as now:
        now.tx.link_blob(upload.workspace, upload.digest, size)
    return {"digest": upload.digest, "size": size}


def put(deps: Deps, caller: Caller, workspace: str, digest: str, data: bytes) -> Json:
    """A small file in one request."""
    allow(caller, "asset.write", workspace)
    check_digest(digest)
    if bytes_digest(data) != digest:
        raise Refused("DigestMismatch", f"the {len(data)} bytes are {bytes_digest(data)}, not {digest}", "Send again.")
    return {"digest": digest, "size": store(deps, workspace, data).size}


def store(deps: Deps, workspace: str, data: bytes) -> TreeRef:
    """Keep bytes that the server made itself; a reference to them as a file."""
    digest, size = deps.blobs.put([data])
    with turn(deps) as now:
        now.tx.link_blob(workspace, digest, size)
    return TreeRef(digest=digest, kind="file", size=size)


def size_of(deps: Deps, caller: Caller, workspace: str, digest: str) -> int:
    """Bytes of what the workspace may read; NotFound `BlobMissing` else, or when it is in a site only."""
    allow(caller, "asset.read", workspace)
    return visible(deps, workspace, check_digest(digest))


def visible(deps: Deps, workspace: str, digest: str) -> int:
    """Bytes of a blob that this workspace has on the server."""
    with deps.store.read() as tx:
        size, places = tx.blob_places(workspace, [digest]).get(digest, (0, ()))
    if "" not in places:
        where = f"it is in site {', '.join(places)} only" if places else "it is not in this workspace"
        raise NotFound("BlobMissing", f"{digest} cannot be read: {where}", "Upload it, or run where it is.")
    return size


def read(deps: Deps, digest: str, first: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from `first` up to `end`."""
    return deps.blobs.read(digest, first, end)


def manifest(deps: Deps, workspace: str, digest: str) -> Tree:
    """The tree that a digest names, each entry being this workspace's own.

    A manifest may name any digest, so without this check it would open other workspaces' files.
    """
    if visible(deps, workspace, digest) > MAX_MANIFEST_BYTES:
        raise TooLarge("LimitExceeded", "the tree manifest is too large", "Pack the files, or use a datastore.")
    tree = parse_tree(b"".join(deps.blobs.read(digest)))
    wanted = {entry.digest for entry in tree.entries}
    with deps.store.read() as tx:
        places = tx.blob_places(workspace, wanted)
    for entry in tree.entries:
        size, where = places.get(entry.digest, (0, ()))
        if not where:
            raise NotFound("BlobMissing", f"{entry.path} ({entry.digest}) was not uploaded", "Upload all files first.")
        if size != entry.size:
            raise Refused("BadRequest", f"{entry.path} has {size} bytes; the manifest says {entry.size}")
    return tree


def store_tree(deps: Deps, workspace: str, tree: Tree, name: str = "") -> TreeRef:
    """Keep a manifest that the server made; its files are there already."""
    kept = store(deps, workspace, tree_bytes(tree))
    return TreeRef(digest=kept.digest, kind="tree", name=name, size=sum(entry.size for entry in tree.entries))


def of_paths(deps: Deps, workspace: str, prefix: str) -> TreeRef:
    """What lies below a path of the workspace's MLflow artifacts, as content; NotFound when nothing does."""
    with deps.store.read() as tx:
        files = tx.paths(workspace, prefix)
    if not files:
        raise NotFound("NotFound", f"there are no files at {prefix!r}", "See the run's artifacts in MLflow.")
    with turn(deps) as now:
        for file in files:
            now.tx.link_blob(workspace, file.digest, file.size)
    name = prefix.rstrip("/").rsplit("/", 1)[-1]
    if len(files) == 1 and files[0].path == prefix:
        return TreeRef(digest=files[0].digest, kind="file", name=name, size=files[0].size)
    base = prefix.rstrip("/") + "/"
    entries = tuple(TreeEntry(path=file.path.removeprefix(base), digest=file.digest, size=file.size) for file in files)
    return store_tree(deps, workspace, Tree(entries=entries), name)


def check_digest(digest: str) -> str:
    """Give it back when it is one."""
    if not _DIGEST.fullmatch(digest):
        raise Refused("BadRequest", f"{digest[:100]!r} is not a digest", "Write sha256: and 64 hex digits.")
    return digest


def _sealed(deps: Deps, upload: Upload) -> str:
    fields = {"workspace": upload.workspace, "digest": upload.digest, "size": upload.size, "owner": upload.owner}
    return deps.keys.seal(json.dumps(fields))


def _no_upload() -> NotFound:
    return NotFound("NotFound", "there is no such upload", "Start it again with POST .../uploads.")
