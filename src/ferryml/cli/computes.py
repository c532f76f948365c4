"""`ferry compute`: sites attached to a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from ferryml.cli import kit, named
from ferryml.cli.assets import loader
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("name", "type", "site", "namespace", "provisioning_state", "ferry.site_state")
app = new_app("Computes: sites attached to a workspace.")


@dataclass(kw_only=True)
class Fields(kit.Bundle):
    """Options of attach that stand for keys of the file."""

    type: Annotated[str | None, typer.Option("--type", "-t", help="kubernetes or local.")] = None
    site: Annotated[str | None, typer.Option("--site", help="The joined site; else found by resource id or name.")] = (
        None
    )
    resource_id: Annotated[str | None, typer.Option("--resource-id", help="The cluster's id, or site:NAME.")] = None
    namespace: Annotated[str | None, typer.Option("--namespace", help="Namespace of the workloads.")] = None
    create_namespace: Annotated[
        bool, typer.Option("--create-namespace", help="Make the namespace, where the site allows that.")
    ] = False
    identity_type: Annotated[str | None, typer.Option("--identity-type", help="SystemAssigned or UserAssigned.")] = None
    user_assigned_identities: Annotated[
        str | None, typer.Option("--user-assigned-identities", help="Ids, separated by spaces.")
    ] = None


@kit.verb(app, "attach", COLUMNS)
def attach(
    shared: Shared, fields: Fields, name: kit.OptionalName = None, file: kit.OptionalFile = None, set: kit.Set = None,
    no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Attach a site to the workspace; refused when work could not run there, with what mends it."""
    given = kit.overrides(
        set, name=name, type=fields.type, site=fields.site, resource_id=fields.resource_id,
        namespace=fields.namespace, create_namespace=fields.create_namespace or None, identity=_identity(fields),
    )  # fmt: skip
    spec = loader("load_compute")(file, given, warn=shared.talk.warn)
    with shared.talk.busy("looking at the site"):
        made = shared.client.computes.create(spec)
        if not no_wait:
            made = shared.client.computes.wait(made["name"])
    _told(shared, made)
    return made


named.add_create(app, "compute", "computes", "load_compute")


@kit.verb(app, "show", COLUMNS)
def show(shared: Shared, name: kit.Name) -> Any:
    """Show one compute: its state, what keeps it from working, its instance types and capacity."""
    return shared.client.computes.get(name)


@kit.verb(app, "list", COLUMNS)
def list_(
    shared: Shared, max_results: kit.MaxResults = None,
    type: Annotated[str | None, typer.Option("--type", "-t", help="Only those of this type.")] = None,
) -> Any:  # fmt: skip
    """List every compute."""
    found = [each for each in shared.client.computes.list() if type is None or each["type"].lower() == type.lower()]
    return found[:max_results]


named.add_update(app, "compute", "computes")


@kit.verb(app, "detach")
def detach(
    shared: Shared, name: kit.Name,
    running: Annotated[
        Literal["refuse", "keep", "cancel"],
        typer.Option("--running", help="What becomes of work that runs there: refuse to detach, keep or cancel it."),
    ] = "refuse",
    yes: kit.Yes = False, no_wait: kit.NoWait = False,
) -> None:  # fmt: skip
    """Detach a compute; attaching it again under its name adopts what was kept. Prints nothing."""
    kit.confirm(yes, f"Detach compute {name}?")
    shared.client.computes.detach(name, running)


named.add_delete(app, "compute", "computes", "delete")


def _told(shared: Shared, compute: dict[str, Any]) -> None:
    ours = compute.get("ferry") or {}
    for words in compute.get("provisioning_errors") or ():
        shared.talk.warn(words)
    for words in ours.get("warnings") or ():
        shared.talk.note(f"warning: {words}")
    if compute.get("provisioning_state") == "Creating":
        waits = "joins" if ours.get("site_state") == "Pending" else "has told what it has"
        shared.talk.note(f"{compute['name']} is Creating until site {compute.get('site')} {waits}")


def _identity(fields: Fields) -> dict[str, Any] | None:
    if fields.identity_type is None:
        return None
    kind = {"systemassigned": "system_assigned", "userassigned": "user_assigned"}
    named_ids = (fields.user_assigned_identities or "").split()
    said = fields.identity_type
    return {"type": kind.get(said.lower(), said), **({"user_assigned_identities": named_ids} if named_ids else {})}
