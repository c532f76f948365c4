"""`ferry online-endpoint`: addresses that answer predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import at_home, kit
from ferryml.cli.assets import loader
from ferryml.cli.at_home import Local
from ferryml.cli.editing import changes
from ferryml.cli.kit import Edits, Shared, new_app
from ferryml.cli.settling import left, settled
from ferryml.domain.errors import Refused

COLUMNS = ("name", "provisioning_state", "compute", "traffic", "mirror_traffic", "scoring_uri")
SHOWN = ("name", "provisioning_state", "compute", "deployments", "traffic", "mirror_traffic", "scoring_uri", "reason")
FIGURES = (
    "compute", "deployment", "revision", "percent", "instances", "rate", "requests", "direct", "errors", "p50_ms",
    "p90_ms", "p95_ms", "p99_ms", "in_flight", "queued", "mirrored", "mirror_errors", "mirror_dropped", "inexact",
    "mismatches", "disagreements",
    "accuracy", "recent_accuracy", "labels",
)  # fmt: skip
MIRROR = ("mirrored", "mirror_errors", "mirror_dropped", "inexact", "mismatches", "disagreements")
app = new_app("Online endpoints: addresses that answer predictions.")
OfSeveral = Annotated[
    str | None, typer.Option("--compute", help="Of an endpoint on several computes: this one.")
]  # fmt: skip
Computes = Annotated[
    str | None, typer.Option("--compute", help='Where it serves: "a", or "a b" for several.')
]  # fmt: skip


@kit.verb(app, "create", COLUMNS)
def create(
    shared: Shared, file: kit.OptionalFile = None, name: kit.OptionalName = None, set: kit.Set = None,
    auth_mode: Annotated[str | None, typer.Option("--auth-mode", help="key or aml_token.")] = None,
    compute: Computes = None,
    no_wait: kit.NoWait = False, local: Local = False,
) -> Any:  # fmt: skip
    """Make an endpoint; fails if it exists."""
    where = None if compute is None else computes(compute)
    given = kit.overrides(set, name=name, auth_mode=auth_mode, compute=where)
    spec = loader("load_endpoint")(file, given, warn=shared.talk.warn)
    spec = at_home.endpoint(spec) if local else spec
    at_home.enter(shared, local, starts=True)
    made = at_home.make(shared, spec) if local else shared.client.online_endpoints.create(spec)
    return made if no_wait else _settled(shared, made["name"])


@kit.verb(app, "show", SHOWN)
def show(shared: Shared, name: kit.Name, local: Local = False) -> Any:
    """Show an endpoint; -o table has a line for each compute of an endpoint on several."""
    at_home.enter(shared, local)
    found = shared.client.online_endpoints.get(name)
    return site_lines(found) if kit.form_of(shared) == "table" and not shared.query else found


@kit.verb(app, "list", COLUMNS)
def list_(shared: Shared, max_results: kit.MaxResults = None, local: Local = False) -> Any:
    """List endpoints."""
    return at_home.listed(shared, local, lambda: shared.client.online_endpoints.list(max_results))


@kit.verb(app, "update", COLUMNS)
def update(
    shared: Shared, edits: Edits, name: kit.Name, file: kit.OptionalFile = None,
    traffic: Annotated[str | None, typer.Option("--traffic", help='Shares of deployments: "a=90 b=10".')] = None,
    mirror_traffic: Annotated[
        str | None, typer.Option("--mirror-traffic", help='Copies for one deployment: "b=10"; b=0 for none.')
    ] = None,
    compute: Computes = None, no_wait: kit.NoWait = False, local: Local = False,
) -> Any:  # fmt: skip
    """Change an endpoint: its traffic, its mirror, its computes, or what --set names."""
    at_home.no_shares(local, traffic, mirror_traffic)
    at_home.enter(shared, local)
    endpoints = shared.client.online_endpoints
    fields: dict[str, Any] = {}
    if file is not None:
        from ferryml.sdk.uploads import posted

        spec = loader("load_endpoint")(file, kit.overrides(None, name=name), warn=shared.talk.warn)
        spec = at_home.endpoint(spec) if local else spec
        fields = {key: value for key, value in posted(spec).items() if key != "name"}
    fields |= changes(endpoints.get(name), edits)
    if traffic is not None:
        fields["traffic"] = shares(traffic)
    if mirror_traffic is not None:
        fields["mirror_traffic"] = {key: value for key, value in shares(mirror_traffic).items() if value}
    compute = compute if compute is not None else fields.get("compute")
    if isinstance(compute, str):
        fields["compute"] = computes(compute)
    made = endpoints.update(name, fields)
    return made if no_wait else _settled(shared, name)


@kit.verb(app, "delete")
def delete(
    shared: Shared, name: kit.Name, yes: kit.Yes = False, no_wait: kit.NoWait = False, local: Local = False
) -> None:
    """Delete an endpoint with its deployments; prints nothing."""
    at_home.enter(shared, local)
    kit.confirm(yes, f"Delete endpoint {name} and its deployments?")
    shared.client.online_endpoints.delete(name)
    if not no_wait:
        left(shared, f"endpoint {name}", lambda: shared.client.online_endpoints.wait_gone(name))
        at_home.leave(shared, local)


@kit.verb(app, "invoke")
def invoke(
    shared: Shared, name: kit.Name,
    request_file: Annotated[
        Path | None, typer.Option("--request-file", "-r", help="File to post; - reads stdin.")
    ] = None,
    deployment_name: Annotated[
        str | None, typer.Option("--deployment-name", "-d", help="This deployment, whatever the traffic.")
    ] = None,
    compute: OfSeveral = None, local: Local = False,
) -> Any:  # fmt: skip
    """Post a request to the endpoint's scoring address with its key or a token, and print the answer."""
    at_home.enter(shared, local)
    body = read_request(request_file)
    answer = shared.client.online_endpoints.invoke(name, body, deployment_name, compute)
    where = f", compute {answer.compute}" if answer.compute else ""
    chosen = ", the first that can be reached" if where and compute is None else ""
    shared.talk.note(f"request id: {answer.request_id} (deployment {answer.deployment}{where}{chosen})")
    return answer.value


@kit.verb(app, "get-credentials")
def get_credentials(shared: Shared, name: kit.Name, compute: OfSeveral = None) -> Any:
    """Print the endpoint's keys, or a fresh token where it takes tokens."""
    return shared.client.online_endpoints.credentials(name, compute)


@kit.verb(app, "regenerate-keys")
def regenerate_keys(
    shared: Shared, name: kit.Name,
    key_type: Annotated[str, typer.Option("--key-type", help="primary or secondary.")] = "primary",
    compute: OfSeveral = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Make one key anew; the other stays valid. Endpoints with tokens have no keys."""
    return shared.client.online_endpoints.regenerate_keys(name, key_type.lower(), compute)


@kit.verb(app, "feedback")
def feedback(
    shared: Shared, name: kit.Name,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Of an answered request.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="The right answer, as JSON or text.")] = None,
    labels_file: Annotated[
        Path | None, typer.Option("--labels-file", "-f", help="JSON lines {request_id, label}, or such CSV.")
    ] = None,
) -> Any:  # fmt: skip
    """Tell what the right answers would have been, so that live accuracy becomes a metric."""
    from ferryml.cli.labels import read_labels
    from ferryml.sdk.overrides import value_of

    given = read_labels(labels_file) if labels_file else []
    if request_id is not None:
        given.append((request_id, value_of(kit.need(label, "--label"))))
    kit.need(given or None, "--labels-file")
    return shared.client.online_endpoints.feedback(name, given)


@kit.verb(app, "stats", FIGURES)
def stats(shared: Shared, name: kit.Name, compute: OfSeveral = None) -> Any:
    """Show traffic, errors, latencies, instances and live accuracy; -o table has a line for each revision."""
    found = shared.client.online_endpoints.stats(name, compute)
    return lines_of(found) if kit.form_of(shared) == "table" and not shared.query else found


def lines_of(stats: dict[str, Any]) -> list[dict[str, Any]]:
    """One line for each revision: those that serve first, and what has no meaning left out."""
    lines = []
    for revision, told in stats["revisions"].items():
        labelled = {name: told.get(name) or {} for name in ("accuracy", "recent_accuracy")}
        mirror = {key: told[key] for key in MIRROR if told.get("mirrored") and key in told}
        instances = f"{told['ready']}/{told['wanted']}" if told.get("state") else None
        plain = {key: cell for key, cell in told.items() if key not in (*labelled, *MIRROR)}
        accuracy = {name: found.get("value") for name, found in labelled.items()}
        labels = labelled["accuracy"].get("labels")
        lines.append({"revision": revision, "instances": instances, **plain, **mirror, **accuracy, "labels": labels})
    return sorted(lines, key=lambda line: (-line["percent"], str(line["deployment"]), line["revision"]))


def site_lines(endpoint: dict[str, Any]) -> Any:
    """One line for each compute of an endpoint on several; another as it is."""
    sites = (endpoint.get("ferry") or {}).get("sites")
    if not sites:
        return endpoint
    lines = []
    for compute, told in sites.items():
        there = " ".join(f"{name}:{one['ready']}/{one['desired']}" for name, one in told["deployments"].items())
        line = {key: told[key] for key in ("provisioning_state", "scoring_uri", "reason")}
        lines.append(
            {**line, "name": endpoint["name"], "compute": compute, "deployments": there, "traffic": endpoint["traffic"]}
        )
    return lines


def computes(text: str) -> str | list[str]:
    """`a` as one compute, `a b`, `a,b` and `[a, b]` as a list."""
    several = text.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    return text.strip() if len(several) == 1 and "[" not in text and "," not in text else several


def shares(text: str) -> dict[str, int]:
    """`a=90 b=10` as a mapping. Raises Refused(BadValue)."""
    made: dict[str, int] = {}
    for part in text.replace(",", " ").split():
        name, equals, share = part.partition("=")
        if not equals or not name or not share.isdigit():
            raise Refused("BadValue", f"{part!r} is not a share of traffic", 'Write "blue=90 green=10".')
        made[name] = int(share)
    return made


def read_request(file: Path | None) -> bytes:
    """The body to post. Raises Refused(FileNotFound)."""
    import sys

    if file is None:
        return b"{}"
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(
            "FileNotFound", f"{file} cannot be read: {error.strerror}", "Name a file with the request."
        ) from error


def _settled(shared: Shared, name: str) -> Any:
    return settled(shared, f"endpoint {name}", lambda: shared.client.online_endpoints.wait(name, shared.talk.state))
