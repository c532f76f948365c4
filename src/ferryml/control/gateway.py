"""What gateways fetch and bring: only what a grant names, and only where residency lets it go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from ferryml.control import artifacts, grants
from ferryml.control.context import Deps
from ferryml.control.ports import Json
from ferryml.domain.errors import FerryError, Forbidden
from ferryml.domain.link import Grant, MlflowCall
from ferryml.domain.residency import may_leave, mlflow_matters

REMEMBERED = 500
UPLOADED = ("models", "artifacts", "params", "metrics")
"""What files may be: outputs, or the bodies of MLflow calls that were too large for the journal."""


class TreeMemory:
    """Digests inside of trees: a tree never changes, so what was read once stays true."""

    def __init__(self) -> None:
        self._inside: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._lock = Lock()

    def inside(self, deps: Deps, workspace: str, digest: str) -> frozenset[str]:
        """Digests of the files in the tree; none when it is a file or is not on the server."""
        with self._lock:
            if digest in self._inside:
                self._inside.move_to_end(digest)
                return self._inside[digest]
        try:
            found = frozenset(entry.digest for entry in artifacts.manifest(deps, workspace, digest).entries)
        except FerryError:
            return frozenset()
        with self._lock:
            self._inside[digest] = found
            while len(self._inside) > REMEMBERED:
                self._inside.popitem(last=False)
        return found


def readable(deps: Deps, site: str, digest: str, grant: str, memory: TreeMemory) -> int:
    """Bytes of a blob that the grant opens; raises Forbidden `BadGrant`, NotFound `BlobMissing`."""
    artifacts.check_digest(digest)
    claims = grants.verified(deps, grant, site)
    if digest not in claims.reads and not any(
        digest in memory.inside(deps, claims.workspace, tree) for tree in claims.reads
    ):
        raise Forbidden("BadGrant", f"the grant of {claims.uid} does not open {digest}")
    return artifacts.visible(deps, claims.workspace, digest)


def start(deps: Deps, site: str, digest: str, size: int, grant: str) -> Json:
    """Begin or resume an upload of what work under this grant has made."""
    claims = grants.verified(deps, grant, site)
    if not claims.writes:
        raise Forbidden("BadGrant", f"the grant of {claims.uid} does not let it write")
    bound = grants.residency(claims)
    if not any(may_leave(bound, matter) for matter in UPLOADED):
        raise Forbidden(
            "ResidencyViolation", f"what {claims.uid} makes is bound to {', '.join(bound.zones)} and not released",
            "It stays in the site.",
        )  # fmt: skip
    upload = artifacts.Upload(claims.workspace, artifacts.check_digest(digest), size, owner(site))
    return artifacts.begin(deps, upload)


def owner(site: str) -> str:
    """Whose uploads these are."""
    return f"{site}/gateway"


def mlflow(deps: Deps, site: str, grant: str, call: MlflowCall, body: bytes) -> tuple[int, bytes]:
    """Pass one MLflow call through while the link is up; (HTTP status, body)."""
    claims = grants.verified(deps, grant, site)
    if "mlflow" not in claims.writes:
        raise Forbidden("BadGrant", f"the grant of {claims.uid} does not open MLflow")
    if call.method not in ("GET", "HEAD"):
        _check(claims, call)
    job = claims.name if claims.kind == "Job" else ""
    return deps.tracking.call(claims.workspace, call.method, call.path, call.content_type, body, job)


def mlflow_file(deps: Deps, site: str, grant: str, path: str) -> tuple[int, Iterator[bytes]]:
    """Size and content of one of MLflow's files, which may be too large to hold."""
    claims = grants.verified(deps, grant, site)
    if "mlflow" not in claims.writes:
        raise Forbidden("BadGrant", f"the grant of {claims.uid} does not open MLflow")
    return deps.tracking.open_file(claims.workspace, path)


def _check(claims: Grant, call: MlflowCall) -> None:
    bound = grants.residency(claims)
    if "search" in call.path or call.path.partition("?")[0].endswith(("/get", "/graphql", "get-latest-versions")):
        return
    for matter in sorted(mlflow_matters(call)):
        if not may_leave(bound, matter):
            raise Forbidden(
                "ResidencyViolation", f"{matter} of {claims.uid} are bound to {', '.join(bound.zones)}",
                "They stay in the site.", {"kind": matter},
            )  # fmt: skip
