"""The sense of `ferry apply`: what a document would change, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.cli.kit import Shared
from ferryml.cli.settling import settled
from ferryml.domain.errors import NotFound, Refused
from ferryml.sdk import nouns
from ferryml.sdk.client import Client
from ferryml.sdk.flow import Json, get
from ferryml.sdk.uploads import posted

PLURALS = {
    "workspace": "workspaces", "datastore": "datastores", "data": "datas", "model": "models",
    "environment": "environments", "code": "codes", "compute": "computes", "job": "jobs",
    "online-endpoint": "online-endpoints", "rollout": "rollouts", "webhook": "webhooks",
    "automation": "automations",
}  # fmt: skip
ASSETS = frozenset({"data", "model", "environment", "code"})
WORDS = ("description", "tags", "properties", "stage")
"""What may change of an asset's version; its content never does."""
PUT = frozenset({"online-deployment", "automation"})
"""Kinds that are replaced as a whole."""
ONCE = frozenset({"job", "rollout"})
"""Kinds that are done, not kept: one that exists by its name stays as it is."""
SHARES = ("traffic", "mirror_traffic")
"""What an endpoint can take only once the deployments that it names are there."""


@dataclass(slots=True)
class Plan:
    """What is to be done about one document.

    Args:
        action: create, update or unchanged.
        changes: key -> (present, wanted); empty for create.
    """

    kind: str
    name: str
    spec: Any
    action: str
    changes: Mapping[str, tuple[Any, Any]]

    def lines(self) -> Iterator[str]:
        """As a person reads it: + is made, ~ is changed, = stays."""
        mark = {"create": "+", "update": "~"}.get(self.action, "=")
        yield f"{mark} {self.kind} {self.name or '(name is given)'}: {self.action}"
        for key, (present, wanted) in self.changes.items():
            yield f"    {key}: {_short(present)} -> {_short(wanted)}"

    def row(self) -> dict[str, Any]:
        """As a script reads it."""
        changed = {key: {"from": old, "to": new} for key, (old, new) in self.changes.items()}
        return {"kind": self.kind, "name": self.name, "action": self.action, "changes": changed}


def planned(client: Client, kind: str, spec: Any) -> Plan:
    """Compare a document with what there is. Raises Refused for an asset's version with other content."""
    name = spec.name or ""
    if not name or (kind in ASSETS and not spec.version):
        return Plan(kind, name, spec, "create", {})
    try:
        present = client.run(get(_path(client, kind, spec)))
    except NotFound:
        return Plan(kind, name, spec, "create", {})
    if kind in ONCE:
        return Plan(kind, name, spec, "unchanged", {})
    wanted = posted(spec)
    found = {
        key: (present.get(key), value)
        for key, value in wanted.items()
        if key not in ("name", "version", "endpoint_name") and not _same(present.get(key), value)
    }
    if kind in ASSETS:
        found = {key: pair for key, pair in found.items() if key in WORDS}
    return Plan(kind, name, spec, "update" if found else "unchanged", found)


def carry_out(shared: Shared, plan: Plan, wait: bool) -> None:
    """Do it, and wait for endpoints and deployments to be ready."""
    client, kind = shared.client, plan.kind
    if plan.action == "unchanged":
        return
    if kind == "online-deployment":
        endpoint = _endpoint(plan.spec)
        if plan.action == "create":
            client.online_deployments.create(endpoint, plan.spec)
        else:
            client.online_deployments.put(endpoint, plan.name, plan.spec)
        _wait(shared, wait, f"deployment {plan.name}", lambda: client.online_deployments.wait(endpoint, plan.name))
        return
    if kind == "online-endpoint":
        _endpoint_itself(shared, plan, wait)
        return
    noun = _noun(client, kind)
    if kind in PUT:
        noun.put(plan.name, plan.spec)
    elif plan.action == "create":
        made = noun.create(plan.spec)
        plan.name = made["name"]
        if "secret" in made:
            verb = f"ferry {kind} rotate-secret -n {plan.name} --revoke"
            shared.talk.note(f"{kind} {plan.name}: its secret was made and not shown; `{verb}` shows another")
    elif kind in ASSETS:
        noun.update(plan.name, _wanted(plan), plan.spec.version)
    else:
        noun.update(plan.name, _wanted(plan))


def directs(plan: Plan) -> bool:
    """Whether it gives shares of traffic to deployments."""
    return plan.kind == "online-endpoint" and bool(_shares(plan))


def direct(shared: Shared, plan: Plan, wait: bool) -> None:
    """Give an endpoint's deployments their shares of traffic: the last thing of all."""
    shared.client.online_endpoints.update(plan.name, _shares(plan))
    _wait_endpoint(shared, plan, wait)


def _endpoint_itself(shared: Shared, plan: Plan, wait: bool) -> None:
    """All of an endpoint but its shares."""
    endpoints = shared.client.online_endpoints
    if plan.action == "create":
        endpoints.create(plan.spec.model_copy(update={key: {} for key in SHARES}))
    elif fields := {key: value for key, value in _wanted(plan).items() if key not in SHARES}:
        endpoints.update(plan.name, fields)
    else:
        return
    _wait_endpoint(shared, plan, wait)


def _shares(plan: Plan) -> dict[str, Any]:
    if plan.action == "create":
        return {key: dict(share) for key in SHARES if (share := getattr(plan.spec, key))}
    return {key: value for key, value in _wanted(plan).items() if key in SHARES}


def _wanted(plan: Plan) -> dict[str, Any]:
    return {key: wanted for key, (_, wanted) in plan.changes.items()}


def _wait_endpoint(shared: Shared, plan: Plan, wait: bool) -> None:
    _wait(shared, wait, f"endpoint {plan.name}", lambda: shared.client.online_endpoints.wait(plan.name))


def _wait(shared: Shared, wanted: bool, what: str, wait: Callable[[], Json]) -> None:
    if wanted:
        settled(shared, what, wait)


def _path(client: Client, kind: str, spec: Any) -> str:
    if kind == "workspace":
        return f"/api/v1/workspaces/{spec.name}"
    if kind == "online-deployment":
        return nouns.path(client.workspace, nouns.deployments(_endpoint(spec)), spec.name)
    return nouns.path(client.workspace, PLURALS[kind], spec.name, spec.version if kind in ASSETS else "")


def _noun(client: Client, kind: str) -> Any:
    return getattr(client, {"data": "data"}.get(kind, PLURALS[kind].replace("-", "_")))


def _endpoint(spec: Any) -> str:
    if not spec.endpoint_name:
        raise Refused("MissingField", f"deployment {spec.name} names no endpoint", "Write endpoint_name.")
    return str(spec.endpoint_name)


def _same(present: Any, wanted: Any) -> bool:
    """Whether what is asked for is there already; local paths were replaced by content, so they say nothing."""
    if isinstance(wanted, Mapping) and isinstance(present, Mapping):
        return all(_same(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        return len(wanted) == len(present) and all(map(_same, present, wanted))
    if isinstance(wanted, str) and wanted.startswith("/") and isinstance(present, str):
        return _content_of(wanted, present)
    if isinstance(wanted, str) and isinstance(present, str):
        return wanted.removeprefix("azureml:") == present.removeprefix("azureml:")
    return bool(present == wanted)


def _content_of(local: str, reference: str) -> bool:
    from ferryml.sdk.uploads import scan

    if not reference.startswith("content:"):
        return local == reference
    return any(str(scan(local, ignore=ignore)) == reference for ignore in (True, False))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"
