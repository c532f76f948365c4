"""What both clients can do besides their nouns; each method is one flow that the client runs in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ferryml.sdk import collections as nouns
from ferryml.sdk.config import locate
from ferryml.sdk.environments import Environments
from ferryml.sdk.flow import Flow, Json, get, send
from ferryml.sdk.flows import below
from ferryml.sdk.sending import Target
from ferryml.sdk.uploads import Progress
from ferryml.sdk.webhooks import Webhooks

Trace = Callable[[str], object]


class Questions:
    """The nouns and questions of a workspace; a client adds how flows are run."""

    def __init__(self, workspace: str, progress: Progress | None, runs: Any) -> None:
        self.workspace = workspace
        self.progress = progress
        self.jobs = nouns.Jobs(runs)
        self.data = nouns.Assets(runs, "datas")
        self.models = nouns.Assets(runs, "models")
        self.environments = Environments(runs)
        self.codes = nouns.Assets(runs, "codes")
        self.datastores = nouns.Named(runs, "datastores")
        self.computes = nouns.Computes(runs)
        self.online_endpoints = nouns.Endpoints(runs)
        self.online_deployments = nouns.Deployments(runs)
        self.rollouts = nouns.Rollouts(runs)
        self.automations = nouns.Automations(runs)
        self.webhooks = Webhooks(runs)
        self.tokens = nouns.Tokens(runs)
        self.sites = nouns.Sites(runs)
        self.workspaces = nouns.Workspaces(runs)

    def run(self, flow: Flow[Any]) -> Any:
        """Carry a flow out; what it returns, or for an async client something to await."""
        raise NotImplementedError

    def whoami(self) -> Json:
        """Name, role and workspace of the token."""
        return self.run(get("/api/v1/whoami"))

    def version(self) -> Json:
        """The server's version and protocol."""
        return self.run(get("/api/v1/version"))

    def trace(self, request_id: str) -> Json:
        """From a prediction to deployment, model, job, code and data. Raises NotFound."""
        return self.run(get(below(self.workspace, "trace", quote(request_id, safe=""))))

    def lineage(self, node: str, direction: str = "up") -> Json:
        """What `node` (such as `model:digits:2`) came from (`up`) or went into (`down`)."""
        return self.run(get(below(self.workspace, "lineage"), node=node, direction=direction))

    def events(self, after: int = 0, subject: str | None = None, limit: int = 100) -> Any:
        """What happened, oldest first: a list of {seq, at, verb, subject, ...}."""
        return self.run(_items(get(below(self.workspace, "events"), after=after, subject=subject, limit=limit)))

    def audit(self, limit: int = 100, after: int = 0) -> Any:
        """Who changed what, oldest first: a list of {seq, at, actor, verb, subject, ...}."""
        return self.run(_items(get(below(self.workspace, "audit"), after=after, limit=limit)))

    def aliases(self) -> Json:
        """The workspace's alias tables."""
        return self.run(get(below(self.workspace, "aliases")))

    def set_aliases(self, tables: Mapping[str, Any]) -> Json:
        """Replace the alias tables: compute, environment, image."""
        return self.run(send("PUT", below(self.workspace, "aliases"), dict(tables)))


def found(environ: Mapping[str, str], given: Mapping[str, str | None]) -> tuple[Target, str]:
    """Where to go and in which workspace. Raises NotFound for a context that does not exist."""
    place = locate(environ, Path.cwd(), **given)
    return place.target, place.workspace


def _items(page: Flow[Json]) -> Flow[list[Json]]:
    answer = yield from page
    items: list[Json] = answer["items"]
    return items
