"""`ferry instance-type`: what a pod may ask for, where it fits, and what the nodes suggest."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app
from ferryml.domain.errors import NotFound, Refused

COLUMNS = ("name", "compute", "summary", "fits", "starts_now", "why", "origin")
app = new_app("Instance types: what a pod asks for, and on which nodes.")

OfCompute = Annotated[str | None, typer.Option("--compute", "-c", help="Of this compute; else of all.")]
OfSite = Annotated[str | None, typer.Option("--site", help="Of this site, attached or not.")]


@kit.verb(app, "list", COLUMNS)
def list_(shared: Shared, compute: OfCompute = None, site: OfSite = None) -> Any:
    """List instance types with what they ask for, whether a node can hold them, and whether one could now."""
    return _types(shared, compute, site)


@kit.verb(app, "show", COLUMNS)
def show(shared: Shared, name: kit.Name, compute: OfCompute = None, site: OfSite = None) -> Any:
    """Show one instance type, on each compute that has it."""
    every = _types(shared, compute, site)
    found = [each for each in every if each["name"] == name]
    if not found:
        known = ", ".join(sorted({each["name"] for each in every})) or "none"
        raise NotFound("InvalidInstanceType", f"there is no instance type {name!r}; there are {known}", "See list.")
    return found[0] if len(found) == 1 else found


@kit.verb(app, "suggest")
def suggest(shared: Shared, compute: OfCompute = None, site: OfSite = None) -> Any:
    """Print instance types that the nodes suggest, as YAML for kubectl apply."""
    if compute is None and site is None:
        raise Refused("Usage", "--compute or --site is missing", "Say whose nodes are meant.")
    place = site or shared.client.computes.get(str(compute))["site"]
    found = shared.client.sites.instance_types(place)["suggestions"]
    if not found:
        shared.talk.note(f"site {place} has told of no nodes")
    if shared.asked:
        return found
    from ferryml.cli.output import written

    print("---\n".join(written(each, "yaml") for each in found), end="")
    return None


def _types(shared: Shared, compute: str | None, site: str | None) -> list[Any]:
    if site is not None:
        items: list[Any] = shared.client.sites.instance_types(site)["items"]
        return items
    names = [compute] if compute else [each["name"] for each in shared.client.computes.list()]
    return [each for name in names for each in shared.client.computes.instance_types(name)]
