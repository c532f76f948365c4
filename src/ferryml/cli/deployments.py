"""`ferry online-deployment`: models behind an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ferryml.cli import at_home, kit
from ferryml.cli.assets import loader
from ferryml.cli.at_home import Local
from ferryml.cli.editing import changes
from ferryml.cli.endpoints import OfSeveral
from ferryml.cli.kit import Edits, Shared, new_app
from ferryml.cli.settling import left, settled
from ferryml.domain.errors import Refused

COLUMNS = ("name", "endpoint_name", "provisioning_state", "model", "instance_count", "ferry.reason")
EndpointName = Annotated[str, typer.Option("--endpoint-name", "-e", help="The endpoint.")]
OptionalEndpoint = Annotated[
    str | None, typer.Option("--endpoint-name", "-e", help="The endpoint; overrides the file's.")
]
app = new_app("Online deployments: models behind an endpoint.")


@dataclass(kw_only=True)
class Az(kit.Bundle):
    """--local, and options of az that are read and do nothing here."""

    local: Local = False
    vscode_debug: Annotated[bool, typer.Option("--vscode-debug", hidden=True, help="Not supported.")] = False
    skip_script_validation: Annotated[
        bool, typer.Option("--skip-script-validation", hidden=True, help="Accepted, ignored.")
    ] = False
    web: Annotated[bool, typer.Option("--web", hidden=True, help="Accepted, ignored.")] = False

    def enter(self, shared: Shared, starts: bool = False) -> None:
        """Speak to the right server. Raises what `at_home.enter` raises, and Refused for what cannot be."""
        at_home.no_debugger(self.vscode_debug)
        at_home.enter(shared, self.local, starts)


@kit.verb(app, "create", COLUMNS)
def create(
    shared: Shared, az: Az, file: kit.File, name: kit.OptionalName = None,
    endpoint_name: OptionalEndpoint = None,
    all_traffic: Annotated[bool, typer.Option("--all-traffic", help="Give it 100 percent once it is ready.")] = False,
    set: kit.Set = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Make a deployment; fails if it exists. It takes no traffic unless --all-traffic."""
    at_home.no_debugger(az.vscode_debug)
    if all_traffic and no_wait:
        raise Refused("Usage", "--all-traffic waits for the deployment and cannot go with --no-wait", "Leave one out.")
    spec = loader("load_deployment")(
        file, kit.overrides(set, name=name, endpoint_name=endpoint_name), warn=shared.talk.warn
    )
    endpoint = _endpoint(spec)
    spec = at_home.deployment(spec) if az.local else spec
    az.enter(shared)
    deployments = shared.client.online_deployments
    again = az.local and at_home.alone(shared, endpoint, spec.name)
    with shared.talk.busy("sending what is local"):
        made = (
            deployments.put(endpoint, spec.name, spec)
            if again
            else deployments.create(endpoint, spec, all_traffic or az.local)
        )
    return made if no_wait else _settled(shared, endpoint, made["name"], az.local)


@kit.verb(app, "update", COLUMNS)
def update(
    shared: Shared, edits: Edits, az: Az, name: kit.OptionalName = None,
    endpoint_name: OptionalEndpoint = None, file: kit.OptionalFile = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Change a deployment: by a file as a new revision, or what --set names. The old one serves until it is ready."""
    az.enter(shared)
    deployments = shared.client.online_deployments
    if file is not None:
        given = kit.overrides(edits.set, name=name, endpoint_name=endpoint_name)
        spec = loader("load_deployment")(file, given, warn=shared.talk.warn)
        endpoint, name = _endpoint(spec), spec.name
        spec = at_home.deployment(spec) if az.local else spec
        with shared.talk.busy("sending what is local"):
            made = deployments.put(endpoint, name, spec)
    else:
        endpoint, name = kit.need(endpoint_name, "--endpoint-name"), kit.need(name, "--name")
        made = deployments.update(endpoint, name, changes(deployments.get(endpoint, name), edits))
    return made if no_wait else _settled(shared, endpoint, name, az.local)


@kit.verb(app, "show", COLUMNS)
def show(shared: Shared, name: kit.Name, endpoint_name: EndpointName, az: Az) -> Any:
    """Show a deployment."""
    az.enter(shared)
    return shared.client.online_deployments.get(endpoint_name, name)


@kit.verb(app, "list", COLUMNS)
def list_(shared: Shared, endpoint_name: EndpointName, az: Az) -> Any:
    """List the deployments of an endpoint."""
    at_home.no_debugger(az.vscode_debug)
    return at_home.listed(shared, az.local, lambda: shared.client.online_deployments.list(endpoint_name))


@kit.verb(app, "delete")
def delete(
    shared: Shared, az: Az, name: kit.Name, endpoint_name: EndpointName, yes: kit.Yes = False,
    no_wait: kit.NoWait = False,
) -> None:  # fmt: skip
    """Delete a deployment; refused while it has traffic. Prints nothing."""
    az.enter(shared)
    kit.confirm(yes, f"Delete deployment {name} of {endpoint_name}?")
    if az.local:
        shared.client.online_deployments.get(endpoint_name, name)
        at_home.point(shared, endpoint_name, {})
    shared.client.online_deployments.delete(endpoint_name, name)
    if not no_wait:
        left(shared, f"deployment {name}", lambda: shared.client.online_deployments.wait_gone(endpoint_name, name))


@kit.verb(app, "get-logs")
def get_logs(
    shared: Shared, az: Az, name: kit.Name, endpoint_name: EndpointName,
    lines: Annotated[int, typer.Option("--lines", "-l", min=1, help="Lines from the end.")] = 5000,
    container: Annotated[str, typer.Option("--container", "-c", help="inference-server or storage-initializer.")] = (
        "inference-server"
    ),
    revision: Annotated[
        str | None, typer.Option("--revision", help="Of this revision; none: the newest that said anything.")
    ] = None,
    compute: OfSeveral = None,
) -> Any:  # fmt: skip
    """Print the last log lines, also of a deployment that failed; of several computes the first that has any."""
    az.enter(shared)
    logs = shared.client.online_deployments.logs
    found = logs(endpoint_name, name, lines, container, revision or "", compute or "")
    if shared.asked:
        return found
    text = str(found["content"])
    if not text:
        shared.talk.note(f"no line of {container} has arrived")
        return None
    print(text, end="" if text.endswith("\n") else "\n")
    return None


def _endpoint(spec: Any) -> str:
    if not spec.endpoint_name:
        raise Refused(
            "MissingField", "the deployment names no endpoint", "Give --endpoint-name, or write endpoint_name."
        )
    return str(spec.endpoint_name)


def _settled(shared: Shared, endpoint: str, name: str, local: bool) -> Any:
    deployments = shared.client.online_deployments
    made = settled(shared, f"deployment {name}", lambda: deployments.wait(endpoint, name, shared.talk.state))
    if not local:
        return made
    at_home.point(shared, endpoint, {name: 100})
    return deployments.get(endpoint, name)
