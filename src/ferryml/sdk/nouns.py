"""What can be asked of each noun, as flows: the one list that the blocking and the async client read from.

Each function takes a workspace first and returns a flow; `client.py` and `aio.py` run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ferryml.sdk.flow import Flow, Json, get, listed, send
from ferryml.sdk.flows import below, ready

VERSIONED = ("datas", "models", "environments", "codes", "components")


def path(workspace: str, plural: str, name: str, version: str = "") -> str:
    """The resource's path; `version` may be `@latest` or another label."""
    parts = [plural, quote(name, safe="")]
    if version:
        parts += ["versions", quote(version, safe="@")]
    return below(workspace, *parts)


def deployments(endpoint: str) -> str:
    """The plural of the deployments of one endpoint."""
    return f"online-endpoints/{quote(endpoint, safe='')}/deployments"


def show(workspace: str, plural: str, name: str, version: str = "") -> Flow[Json]:
    """One thing; of a versioned one the latest when no version is given."""
    return get(path(workspace, plural, name, version or ("@latest" if plural in VERSIONED else "")))


def list_all(workspace: str, plural: str, limit: int | None = None, **query: str | int | None) -> Flow[list[Json]]:
    """All of them, or the newest `limit`."""
    return listed(below(workspace, plural), limit, **query)


def change(workspace: str, plural: str, name: str, fields: Mapping[str, Any], version: str = "") -> Flow[Json]:
    """Change some fields; what may change is the server's to say."""
    return send("PATCH", path(workspace, plural, name, version), dict(fields))


def replace(workspace: str, plural: str, name: str, spec: Any) -> Flow[Json]:
    """Put a whole spec in place of the present one (made if it is not there, where the noun allows)."""
    document = yield from ready(workspace, spec)
    return (yield from send("PUT", path(workspace, plural, name), document))


def delete(workspace: str, plural: str, name: str) -> Flow[None]:
    """Remove it."""
    yield from send("DELETE", path(workspace, plural, name))


def act(workspace: str, plural: str, name: str, verb: str, body: Json = None, version: str = "") -> Flow[Json]:
    """`POST .../NAME/VERB`: cancel, archive, restore, promote, rollback, pause, resume, trigger."""
    return send("POST", f"{path(workspace, plural, name, version)}/{verb}", body)


def feedback(workspace: str, endpoint: str, labels: Iterable[tuple[str, Any]]) -> Flow[Json]:
    """True labels for answered requests: (request id, label as JSON value)."""
    body = {"labels": [{"request_id": ident, "label": label} for ident, label in labels]}
    return act(workspace, "online-endpoints", endpoint, "feedback", body)


def deployment_logs(
    workspace: str, endpoint: str, name: str, lines: int = 5000, container: str = "inference-server",
    revision: str = "", compute: str = "",
) -> Flow[Json]:  # fmt: skip
    """The last lines of one container of a deployment, also after it failed."""
    return get(
        f"{path(workspace, deployments(endpoint), name)}/logs",
        lines=lines,
        container=container,
        revision=revision or None,
        compute=compute or None,
    )


def decide_run(workspace: str, automation: str, run: str, verb: str) -> Flow[Json]:
    """`approve` or `reject` a run that waits for a person."""
    return send("POST", f"{path(workspace, 'automations', automation)}/runs/{quote(run, safe='')}/{verb}")
