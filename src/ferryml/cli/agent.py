"""`ferry agent`: this machine or cluster as a site of a server."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import new_app
from ferryml.cli.programs import log_to_stderr, program, settings

KEPT = "settings.json"
"""Below the site's state folder: what `join` was told, for `run`."""
app = new_app("Agent: this machine or cluster as a site of a server.")


@dataclass(kw_only=True)
class Way(kit.Bundle):
    """How a site reaches its server, and where it keeps things; each stands for a setting of the site."""

    server_url: Annotated[str | None, typer.Option("--server", "--url", help="Address of the server.")] = None
    name: Annotated[str | None, typer.Option("--name", "-n", help="The site's name.")] = None
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Folder of keys, site store and work.")] = None
    proxy: Annotated[str | None, typer.Option("--proxy", help="HTTP proxy for everything outbound.")] = None
    ca_bundle: Annotated[Path | None, typer.Option("--ca-bundle", help="PEM file of the server's authority.")] = None
    accept_zone_bound: Annotated[
        bool, typer.Option("--accept-zone-bound", help="Take zone-bound data although processes are not isolated.")
    ] = False

    def options(self) -> dict[str, Any]:
        """Setting -> value, where one was given."""
        said = {key: value for key, value in asdict(self).items() if value not in (None, False)}
        for key in ("state_dir", "ca_bundle"):
            if key in said:
                said[key] = said[key].absolute()
        return said


Token = Annotated[
    str | None, typer.Option("--token", "--join-token", help="One-time token of `ferry site create`; - reads stdin.")
]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; see docs/settings.md.")]


@kit.verb(app, "join")
def join(way: Way, token: Token = None, config: Config = None) -> None:
    """Enrol this machine: the one-time token becomes keys that never leave it. Then `ferry agent run`."""
    boot = program("ferryml.bootstrap.site")
    chosen = _settings(way, config)
    member = boot.join(chosen, _text(token))
    _keep(chosen.state_dir, way)
    print(f"Joined {chosen.server_url} as site {member.enrolled.site}.", file=sys.stderr)
    print(f"Run it with: ferry agent run --state-dir {chosen.state_dir}", file=sys.stderr)


@kit.verb(app, "run")
def run(
    way: Way, token: Token = None, config: Config = None,
    stop_work: Annotated[
        bool, typer.Option("--stop-work", help="When told to end, end jobs and deployments too; else they go on.")
    ] = False,
) -> None:  # fmt: skip
    """Run the site until it is told to end; joins first when a token is given.

    With FERRY_SITE_BACKEND=kubernetes the site is the cluster that this runs in, or that KUBECONFIG names.
    """
    log_to_stderr()
    from ferryml.settings import ClusterSettings, RouterSettings

    chosen, router = _settings(way, config), settings(RouterSettings, {}, config)
    if chosen.backend == "kubernetes":
        knobs = settings(ClusterSettings, {}, config)
        program("ferryml.bootstrap.cluster").run(chosen, knobs, _text(token), ready=_cluster_ready)
        return
    boot = program("ferryml.bootstrap.site")
    if token:
        _keep(chosen.state_dir, way)
    boot.run(chosen, router, _text(token), stop_work=stop_work, ready=_ready)


@kit.verb(app, "doctor")
def doctor(
    shared: kit.Shared, way: Way, config: Config = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Start no pods: image and DNS stay untried.")] = False,
) -> Any:  # fmt: skip
    """Examine the cluster before it joins: rights, network, images, storage; exits with 1 when a check failed."""
    from ferryml.cli.finding_words import checks
    from ferryml.settings import ClusterSettings

    boot = program("ferryml.bootstrap.cluster_doctor")
    found = boot.examine(_settings(way, config), settings(ClusterSettings, {}, config), probe=not no_probe)
    lines = [each.model_dump(mode="json") for each in found]
    if shared.asked:
        kit.show(lines, shared)
    else:
        print("\n".join(checks(lines)))
    if any(each["level"] == "failed" for each in lines):
        raise typer.Exit(1)
    return None


def _ready(site: Any) -> None:
    print(f"site works: router {site.router.url}", file=sys.stderr, flush=True)


def _cluster_ready() -> None:
    print("site works: a Kubernetes cluster", file=sys.stderr, flush=True)


def _settings(way: Way, config: Path | None) -> Any:
    from ferryml.settings.site import SiteSettings

    options = way.options()
    folder = settings(SiteSettings, options, config).state_dir
    return settings(SiteSettings, options, config, _kept(folder))


def _text(token: str | None) -> str:
    return sys.stdin.readline().strip() if token == "-" else token or ""  # noqa: S105 - a dash for stdin, no secret


def _kept(folder: Path) -> dict[str, object]:
    file = folder / KEPT
    if not file.is_file():
        return {}
    kept: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return kept


def _keep(folder: Path, way: Way) -> None:
    said = {key: value if isinstance(value, bool) else str(value) for key, value in way.options().items()}
    said.pop("state_dir", None)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = {**_kept(folder), **said}
    with os.fdopen(os.open(folder / KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(whole, file)
