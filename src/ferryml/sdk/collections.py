"""The nouns of the blocking client: `client.jobs.create(...)`, `client.models.list()`, ..."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ferryml.domain.errors import Refused
from ferryml.domain.orders import TreeRef
from ferryml.sdk import connections, flows, nouns, places
from ferryml.sdk.downloads import download
from ferryml.sdk.flow import Flow, Json, get, listed, send
from ferryml.sdk.flows import Notice, Write
from ferryml.sdk.uploads import Progress, posted

T = TypeVar("T")


class Runs(Protocol):
    """What a noun needs of the client."""

    workspace: str
    progress: Progress | None

    def run(self, flow: Flow[T]) -> T: ...


class Named:
    """A noun with names: create, list, get, update, delete. Specs are `ferryml` specs or their JSON data."""

    def __init__(self, client: Runs, plural: str) -> None:
        self._client = client
        self._plural = plural

    def create(self, spec: Any) -> Json:
        """Make it; local files are uploaded first. Raises Conflict(AlreadyExists)."""
        return self._run(flows.create(self._workspace, self._plural, spec, self._client.progress))

    def get(self, name: str) -> Json:
        """One of them. Raises NotFound."""
        return self._run(nouns.show(self._workspace, self._plural, name))

    def list(self, limit: int | None = None, **query: str | int | None) -> list[Json]:
        """All, or the first `limit`."""
        return self._run(nouns.list_all(self._workspace, self._plural, limit, **query))

    def update(self, name: str, fields: Mapping[str, Any]) -> Json:
        """Change some fields."""
        return self._run(nouns.change(self._workspace, self._plural, name, fields))

    def delete(self, name: str) -> None:
        """Remove it. Raises Conflict(InUse) while something needs it."""
        self._run(nouns.delete(self._workspace, self._plural, name))

    @property
    def _workspace(self) -> str:
        return self._client.workspace

    def _run(self, flow: Flow[T]) -> T:
        return self._client.run(flow)

    def _act(self, name: str, verb: str, body: Json = None) -> Json:
        return self._run(nouns.act(self._workspace, self._plural, name, verb, body))


class Assets(Named):
    """A noun with versions: data, models, environments, codes."""

    def get(self, name: str, version: str = "@latest") -> Json:
        """One version, or a label such as `@latest` (the most recently created)."""
        return self._run(nouns.show(self._workspace, self._plural, name, version))

    def update(self, name: str, fields: Mapping[str, Any], version: str = "@latest") -> Json:
        """Change description, tags, properties or stage; content never changes."""
        return self._run(nouns.change(self._workspace, self._plural, name, fields, version))

    def archive(self, name: str, version: str) -> Json:
        """Hide a version from lists and `@latest`."""
        return self._run(nouns.act(self._workspace, self._plural, name, "archive", version=version))

    def restore(self, name: str, version: str) -> Json:
        """Show it again."""
        return self._run(nouns.act(self._workspace, self._plural, name, "restore", version=version))

    def download(self, name: str, version: str, target: str | Path) -> list[Path]:
        """Bring its files to a folder."""
        return self._run(self._download(name, version, Path(target)))

    def _download(self, name: str, version: str, target: Path) -> Flow[list[Path]]:
        thing = yield from nouns.show(self._workspace, self._plural, name, version)
        tree = (thing["ferry"].get("content") or {}).get("tree")
        if not tree:
            raise Refused(
                "NotSupported", f"{name}:{thing['version']} is a reference; its files are not Ferry's",
                "Fetch them from where `path` points.",
            )  # fmt: skip
        return (yield from download(self._workspace, TreeRef.model_validate(tree), target, self._client.progress))


class Jobs(Named):
    """Jobs; `job["status"]` is one of SPEC's states."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "jobs")

    def cancel(self, name: str) -> Json:
        """Ask for its end."""
        return self._act(name, "cancel")

    def archive(self, name: str) -> Json:
        """Hide it from lists."""
        return self._act(name, "archive")

    def restore(self, name: str) -> Json:
        """Show it again."""
        return self._act(name, "restore")

    def wait(self, name: str, notice: Notice | None = None) -> Json:
        """Block until it is Completed, Failed or Canceled."""
        return self._run(flows.wait_job(self._workspace, name, notice))

    def stream(self, name: str, write: Write, notice: Notice | None = None, log: str = flows.STD_LOG) -> Json:
        """Copy its log to `write(bytes)` until it ends; `log` names another one than that of its program."""
        return self._run(flows.stream_job(self._workspace, name, write, notice, log))

    def download(self, name: str, target: str | Path, output: str | None = None, every: bool = False) -> list[Path]:
        """Bring an output home (`default` = ./outputs and ./logs), or every one."""
        return self._run(flows.download_job(self._workspace, name, Path(target), output, every))

    def connect(self, name: str, ask: Json) -> Json:
        """A shell in a running job of one's own: `{id, site, expires_at}`; `ask` is a ConnectionAsk as JSON."""
        return self._run(connections.connect(self._workspace, name, ask))

    def connection_say(self, connection: str, offset: int, data: bytes) -> None:
        """Bytes for the job's end; may be repeated."""
        self._run(connections.say(self._workspace, connection, offset, data))

    def connection_hear(self, connection: str, offset: int, wait_s: float = 20) -> tuple[bytes, bool]:
        """(bytes from the job's end, whether nothing more will come)."""
        return self._run(connections.hear(self._workspace, connection, offset, wait_s))

    def connection_close(self, connection: str) -> None:
        """End it, and what runs there."""
        self._run(connections.close(self._workspace, connection))

    def explain(self, name: str) -> Json:
        """Why it is where it is, and what would mend it."""
        return self._run(get(f"{nouns.path(self._workspace, 'jobs', name)}/explain"))

    def logs(self, name: str) -> list[Json]:
        """Its log files: path and size in bytes."""
        return list(self._run(get(f"{nouns.path(self._workspace, 'jobs', name)}/logs")))

    def log(self, name: str, path: str, write: Write) -> None:
        """Copy one log file to `write(bytes)`, as far as it goes."""
        self._run(flows.print_log(self._workspace, name, path, write))


class Endpoints(Named):
    """Online endpoints."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "online-endpoints")
        self._opens: dict[str, str] = {}

    def put(self, name: str, spec: Any) -> Json:
        """Replace the spec."""
        return self._run(nouns.replace(self._workspace, self._plural, name, spec))

    def keys(self, name: str, compute: str | None = None) -> Json:
        """`primaryKey` and `secondaryKey`."""
        return self._run(get(f"{nouns.path(self._workspace, self._plural, name)}/keys", compute=compute))

    def credentials(self, name: str, compute: str | None = None) -> Json:
        """Its keys; or `accessToken`, `tokenType`, `expiryTimeUtc`, `refreshAfterTimeUtc` (seconds since 1970).

        Where each compute has keys of its own: those of `compute`, or of all below `computes`.
        """
        return self._run(get(f"{nouns.path(self._workspace, self._plural, name)}/credentials", compute=compute))

    def regenerate_keys(self, name: str, key_type: str, compute: str | None = None) -> Json:
        """A new `primary` or `secondary` key; the other stays valid. Separate keys: those of `compute`."""
        path = f"{nouns.path(self._workspace, self._plural, name)}/keys/regenerate"
        return self._run(send("POST", path, {"key_type": key_type}, compute=compute))

    def feedback(self, name: str, labels: Iterable[tuple[str, Any]]) -> Json:
        """True labels by request id."""
        return self._run(nouns.feedback(self._workspace, name, labels))

    def stats(self, name: str, compute: str | None = None) -> Json:
        """Traffic, errors, latencies, instances and live accuracy by revision, and of what serves by deployment."""
        return self._run(get(f"{nouns.path(self._workspace, self._plural, name)}/stats", compute=compute))

    def wait(self, name: str, notice: Notice | None = None) -> Json:
        """Block until Succeeded or Failed."""
        return self._run(flows.settle(nouns.path(self._workspace, self._plural, name), notice))

    def invoke(
        self, name: str, body: bytes | Any, deployment: str | None = None, compute: str | None = None
    ) -> flows.Prediction:  # fmt: skip
        """Ask for a prediction; `body` is sent as it is when bytes, else as JSON.

        Of an endpoint on several computes `compute` is asked, or the first that can be reached.

        The endpoint's key or token is kept for the next call, and asked for again once it no longer opens.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._run(flows.invoke(self._workspace, name, data, deployment, self._opens, compute))

    def wait_gone(self, name: str) -> Json:
        """Block until it is deleted: None; or what is left of it, on sites that are offline."""
        return self._run(flows.gone(nouns.path(self._workspace, self._plural, name)))


class Deployments:
    """Deployments; each belongs to an endpoint."""

    def __init__(self, client: Runs) -> None:
        self._client = client

    def create(self, endpoint: str, spec: Any, all_traffic: bool = False) -> Json:
        """Make it beside the others; it gets no traffic unless `all_traffic`, once it is ready."""
        flow = flows.create(
            self._client.workspace, nouns.deployments(endpoint), spec, self._client.progress,
            all_traffic="true" if all_traffic else None,
        )  # fmt: skip
        return self._client.run(flow)

    def get(self, endpoint: str, name: str) -> Json:
        """One of them."""
        return self._client.run(nouns.show(self._client.workspace, nouns.deployments(endpoint), name))

    def list(self, endpoint: str) -> list[Json]:
        """All of an endpoint."""
        return self._client.run(nouns.list_all(self._client.workspace, nouns.deployments(endpoint)))

    def put(self, endpoint: str, name: str, spec: Any) -> Json:
        """A new revision beside the old one, which serves until the new one is ready."""
        return self._client.run(nouns.replace(self._client.workspace, nouns.deployments(endpoint), name, spec))

    def update(self, endpoint: str, name: str, fields: Mapping[str, Any]) -> Json:
        """Change some fields, such as instance_count."""
        return self._client.run(nouns.change(self._client.workspace, nouns.deployments(endpoint), name, fields))

    def delete(self, endpoint: str, name: str) -> None:
        """Remove it; refused while it has traffic."""
        self._client.run(nouns.delete(self._client.workspace, nouns.deployments(endpoint), name))

    def logs(
        self,
        endpoint: str,
        name: str,
        lines: int = 5000,
        container: str = "inference-server",
        revision: str = "",
        compute: str = "",
    ) -> Json:
        """The last lines, also after a failure; of the newest revision that said anything, or of the one named."""
        flow = nouns.deployment_logs(self._client.workspace, endpoint, name, lines, container, revision, compute)
        return self._client.run(flow)

    def wait(self, endpoint: str, name: str, notice: Notice | None = None) -> Json:
        """Block until Succeeded or Failed."""
        path = nouns.path(self._client.workspace, nouns.deployments(endpoint), name)
        return self._client.run(flows.settle(path, notice))

    def wait_gone(self, endpoint: str, name: str) -> Json:
        """Block until it is deleted: None; or what is left of it, on sites that are offline."""
        return self._client.run(flows.gone(nouns.path(self._client.workspace, nouns.deployments(endpoint), name)))


class Rollouts(Named):
    """Rollouts by themselves."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "rollouts")

    def act(self, name: str, verb: str) -> Json:
        """`promote`, `rollback`, `pause` or `resume`."""
        return self._act(name, verb)

    def wait(self, name: str, notice: Notice | None = None) -> Json:
        """Block until it is promoted, rolled back or failed."""
        return self._run(flows.wait_rollout(self._workspace, name, notice))


class Automations(Named):
    """Automations and their runs."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "automations")

    def put(self, name: str, spec: Any) -> Json:
        """Make or replace it."""
        return self._run(nouns.replace(self._workspace, self._plural, name, spec))

    def history(self, name: str, limit: int | None = None) -> list[Json]:
        """Runs, newest first, each transition with its evidence."""
        return self._run(listed(f"{nouns.path(self._workspace, self._plural, name)}/runs", limit))

    def act(self, name: str, verb: str, body: Json = None) -> Json:
        """`trigger`, `pause` or `resume`."""
        return self._act(name, verb, body)

    def decide(self, name: str, run: str, verb: str) -> Json:
        """`approve` or `reject` a waiting run."""
        return self._run(nouns.decide_run(self._workspace, name, run, verb))


class Computes(Named):
    """Computes: sites, or namespaces of them, attached to the workspace."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "computes")

    def detach(self, name: str, running: str = "refuse") -> None:
        """Forget it. What still runs there is in the way (`refuse`), goes on (`keep`) or is cancelled (`cancel`)."""
        self._run(places.detach(self._workspace, name, running))

    def wait(self, name: str, notice: Notice | None = None, patience_s: float = 60) -> Json:
        """Block until it is Succeeded or Failed, or for `patience_s`: a site may take its time to join."""
        return self._run(places.settled(self._workspace, name, notice, patience_s))

    def instance_types(self, name: str) -> list[Json]:
        """Its instance types, each with its name, what it asks for, whether it fits and would start now."""
        return self._run(places.compute_types(self._workspace, name))


class Tokens(Named):
    """Tokens of the workspace."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "tokens")


class ServerWide(Named):
    """A noun of the whole server."""

    def create(self, spec: Any) -> Json:
        """Make it."""
        return self._run(send("POST", f"/api/v1/{self._plural}", posted(spec) if _is_spec(spec) else dict(spec)))

    def get(self, name: str) -> Json:
        """One of them."""
        return self._run(get(f"/api/v1/{self._plural}/{name}"))

    def list(self, limit: int | None = None, **query: str | int | None) -> list[Json]:
        """All."""
        return self._run(listed(f"/api/v1/{self._plural}", limit, **query))

    def update(self, name: str, fields: Mapping[str, Any]) -> Json:
        """Change some fields."""
        return self._run(send("PATCH", f"/api/v1/{self._plural}/{name}", dict(fields)))

    def delete(self, name: str) -> None:
        """Remove it."""
        self._run(send("DELETE", f"/api/v1/{self._plural}/{name}"))


class Workspaces(ServerWide):
    """Workspaces of the server."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "workspaces")

    def rotate_token_key(self, name: str, revoke: bool = False) -> Json:
        """Sign tokens of its endpoints with a new key; with `revoke` all that are out become void."""
        return self._run(send("POST", f"/api/v1/workspaces/{name}/endpoint-tokens/rotate", {"revoke": revoke}))


class Sites(ServerWide):
    """Sites: clusters, or machines, whose agents dial in."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "sites")

    def token(self, name: str) -> Json:
        """A new one-time join token."""
        return self._run(send("POST", f"/api/v1/sites/{name}/token"))

    def doctor(
        self, name: str, look: places.Look = "once", notice: Notice | None = None, patience_s: float = 180
    ) -> Json:
        """What its doctor finds: `result` and `findings`.

        Args:
            look: `last` is what it found before; `once` looks now; `again` also makes pods anew, to see what only
                they can show.
        """
        return self._run(places.doctor(name, look, notice, patience_s))

    def instance_types(self, name: str) -> Json:
        """`items`: its instance types; `suggestions`: custom resources that its nodes suggest."""
        return self._run(places.site_types(name))


def _is_spec(spec: Any) -> bool:
    return hasattr(spec, "model_dump_json")
