"""What a deployment's containers printed, as far as it has arrived; also of one that failed."""

from __future__ import annotations

from dataclasses import dataclass

from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Json
from ferryml.control.serving_wishes import deployment_key, need_deployment, need_endpoint, parts_of, revisions_of
from ferryml.domain.errors import Refused
from ferryml.domain.uids import uid_of

MAX_LINES = 100_000
MAX_LOG_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines of which log; `revision` empty: the newest that has any; `compute` empty: the first that has any."""

    lines: int = 5000
    container: str = "inference-server"
    revision: str = ""
    compute: str = ""


def get_logs(deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str, wanted: Wanted) -> Json:
    """The last lines of a log, as far as they have arrived, and whose: `{content, compute, revision}`."""
    allow(caller, "endpoint.read", workspace)
    container, revision = wanted.container, wanted.revision
    if container not in ("inference-server", "storage-initializer"):
        raise Refused(
            "BadValue", f"there is no container {container[:64]!r}", "inference-server or storage-initializer."
        )
    with deps.store.read() as tx:
        parent = need_endpoint(tx, workspace, endpoint)
        need_deployment(tx, workspace, endpoint, name)
        parts = parts_of(tx, parent, wanted.compute)
        rows = [(part, tx.get("deployment", workspace, deployment_key(part.name, name))) for part in parts]
        known = [(part, one.name) for part, row in rows if row for one in revisions_of(tx, row, ())]
        mine = [(part, one) for part, one in known if revision in ("", one)]
        if revision and not mine:
            raise Refused("BadValue", f"deployment {name} has no revision {revision[:20]!r}", "See show.")
        uid = uid_of("endpoint", workspace, endpoint)
        sizes = dict(tx.list_logs(workspace, uid))
        for part in parts:
            for one in [one for whose, one in reversed(mine) if whose is part]:
                path = f"deployments/{name}/{one}/{container}.log"
                if path in sizes:
                    first = max(0, sizes[path] - MAX_LOG_BYTES)
                    data = tx.read_log(workspace, uid, path, first, MAX_LOG_BYTES)
                    content = _tail(data, min(wanted.lines, MAX_LINES))
                    return {"content": content, "compute": part.spec["compute"], "revision": one}
    return {"content": "", "compute": wanted.compute, "revision": revision}


def _tail(data: bytes, lines: int) -> str:
    found = data.decode("utf-8", "replace").splitlines(keepends=True)
    return "".join(found[-lines:] if lines > 0 else [])
