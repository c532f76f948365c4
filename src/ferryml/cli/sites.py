"""`ferry site`: what IT operations join to the server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit, named, site_manifests
from ferryml.cli.kit import Shared, new_app

app = new_app("Sites: clusters and machines that have joined.")


@kit.verb(app, "create")
def create(
    shared: Shared, word: site_manifests.Word = None, name: site_manifests.Name = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Residency zone; else the name.")] = None,
    set: Annotated[list[str] | None, typer.Option("--set", help="Settings of the site: python=nearest ...")] = None,
) -> Any:  # fmt: skip
    """Name a new site; the answer holds the one line that joins it: by helm, by kubectl, or on a machine."""
    from ferryml.sdk.overrides import parse_path, value_of

    settings = {str(parse_path(path)[0]): value_of(value) for path, _, value in (s.partition("=") for s in set or ())}
    site = site_manifests.name_of(word, name)
    return _told(shared, shared.client.sites.create({"name": site, "zone": zone or "", "settings": settings}))


@kit.verb(app, "token")
def token(shared: Shared, word: site_manifests.Word = None, name: site_manifests.Name = None) -> Any:
    """Make another one-time join token."""
    return _told(shared, shared.client.sites.token(site_manifests.name_of(word, name)))


def _told(shared: Shared, made: Any) -> Any:
    """Names the lines to run, where a person reads along."""
    shared.talk.note(f"In a cluster, run:\n  {made['helm']}\nor, without Helm:\n  {made['kubectl']}")
    shared.talk.note(f"On a machine, run:\n  {made['command']}")
    return made


@kit.verb(app, "doctor", ("check", "level", "code", "cause", "fix"))
def doctor(
    shared: Shared,
    site: Annotated[str | None, typer.Argument(help="The site's name.")] = None,
    name: kit.OptionalName = None,
    last: Annotated[bool, typer.Option("--last", help="Show what was found last, and look at nothing now.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also try anew, with pods, images, names, policies.")] = False,
) -> Any:  # fmt: skip
    """Examine a site: each check ok, warning or failed, with its code and the fix; exits with 1 when one failed."""
    from ferryml.cli.finding_words import checks

    wanted = kit.need(site or name, "the site's name")
    with shared.talk.busy(f"examining {wanted}"):
        found = shared.client.sites.doctor(wanted, "again" if again else "last" if last else "once")
    if not found["answered"]:
        shared.talk.warn(f"site {wanted} did not answer in time; this is what it found before")
    if shared.asked:
        kit.show(found, shared)
    else:
        print("\n".join(checks(found["findings"])))
        print(f"{wanted}: {found['result']}")
    if found["result"] == "failed":
        raise typer.Exit(1)


site_manifests.add(app)
named.add_show(app, "site", "sites", ("name", "zone", "state", "backend", "version", "last_seen"))
named.add_update(app, "site", "sites")
named.add_delete(app, "site", "sites")
