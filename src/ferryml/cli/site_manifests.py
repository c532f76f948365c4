"""`ferry site manifests`: what the chart ferry-agent installs, for those who have no Helm."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared

Word = Annotated[str | None, typer.Argument(help="The site's name; -n says it too.", show_default=False)]
Name = Annotated[str | None, typer.Option("--name", "-n", help="The site's name.")]
Part = Literal["all", "crds", "lasting", "agent", "uninstall"]


@dataclass(kw_only=True)
class Place(kit.Bundle):
    """Which site, of which server, and where in its cluster."""

    name: Name = None
    server: Annotated[str | None, typer.Option("--server", help="The server; else the context's.")] = None
    join_token: Annotated[
        str | None, typer.Option("--join-token", help="One-time token of `ferry site create`; - reads stdin.")
    ] = None
    namespace: Annotated[str, typer.Option("--namespace", help="Namespace of Ferry's own pods.")] = "ferry-system"


def add(app: typer.Typer) -> None:
    """Give `ferry site` the verb."""

    @kit.verb(app, "manifests")
    def manifests(
        shared: Shared, place: Place, word: Word = None, values: kit.OptionalFile = None, set: kit.Set = None,
        part: Annotated[
            Part, typer.Option("--part", help="all: crds, lasting (namespace, site store) and agent; uninstall a Job.")
        ] = "all",
    ) -> None:  # fmt: skip
        """Print manifests for `kubectl apply --server-side -f -`; values are those of the chart ferry-agent."""
        from ferryml.cli.output import yaml_documents

        site: dict[str, Any] = {
            "site.name": name_of(word, place.name), "site.server_url": place.server or shared.client.target.url,
        }  # fmt: skip
        if place.join_token:
            piped = place.join_token == "-"  # noqa: S105  a dash for stdin, no secret
            site["joinToken"] = sys.stdin.readline().strip() if piped else place.join_token
        chosen = _values(values, kit.overrides(set, **site))
        sys.stdout.write(yaml_documents(_documents(part, chosen, place.namespace)))


def name_of(word: str | None, name: str | None) -> str:
    """As a word or as -n. Raises Refused(Usage)."""
    return str(kit.need(word or name, "--name"))


def _values(file: Path | None, changes: list[str | Mapping[str, Any]]) -> Any:
    """As Helm would read them. Raises Refused(BadValue, UnknownField)."""
    from ferryml.compile.install.values import AgentValues
    from ferryml.domain.parse import parse
    from ferryml.sdk.documents import Document, read_document
    from ferryml.sdk.overrides import override
    from ferryml.settings import ClusterSettings, RouterSettings, SiteSettings, load

    given = read_document(file) if file else Document({}, {}, Path())
    document = override(given, changes)
    chosen: AgentValues = parse(AgentValues, document.data, document.positions).spec
    for model, said in (
        (SiteSettings, chosen.site),
        (ClusterSettings, chosen.cluster),
        (RouterSettings, chosen.router),
    ):
        load(model, {}, {model.section: dict(said)})
    return chosen


def _documents(part: Part, chosen: Any, namespace: str) -> list[dict[str, Any]]:
    from ferryml.compile.install import manifests
    from ferryml.compile.install.removal import removal
    from ferryml.compile.kubernetes.crds import definitions

    known = version("ferryml")
    made: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "crds": lambda: list(definitions().values()),
        "lasting": lambda: manifests.lasting(chosen, namespace),
        "agent": lambda: manifests.agent(chosen, namespace, known),
        "uninstall": lambda: removal(chosen, namespace, known),
    }
    wanted = ("crds", "lasting", "agent") if part == "all" else (part,)
    return [body for one in wanted for body in made[one]()]
