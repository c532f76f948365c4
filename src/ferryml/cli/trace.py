"""`ferry trace`: from a prediction back to everything it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app

app = single_app()
CHAIN = (("models", "model"), ("jobs", "job"), ("code", "code"), ("environments", "environment"), ("data", "data"))
"""Key of the answer -> what one of them is called, in the order in which a person asks."""


@kit.verb(app, "trace")
def trace(
    shared: Shared,
    request_id: Annotated[str, typer.Argument(help="x-request-id of an answer.")],
) -> Any:
    """Show prediction -> deployment -> model -> job -> code, data; with -o as JSON."""
    found = shared.client.trace(request_id)
    if shared.asked:
        return found
    print("\n".join(lines(found)))
    return None


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The trace as a person reads it: one thing a line, nearest first, with what is known of it."""
    nodes = {node["id"]: node for node in (found.get("lineage") or {}).get("nodes") or ()}
    yield _line("prediction", found["request_id"], ())
    deployed = [f"revision {found['revision']}", *_made(found.get("deployed_at"), found.get("deployed_by"))]
    yield _line("deployment", f"{found['endpoint']}/{found['deployment']}", deployed)
    for key, word in CHAIN:
        for ident in found.get(key) or ():
            node = nodes.get(ident) or {}
            yield _line(word, str(ident).removeprefix(f"{word}:"), _facts(node))


def _line(word: str, name: str, facts: Any) -> str:
    said = ", ".join(facts)
    return f"{word:<11}  {name}{f'  ({said})' if said else ''}"


def _facts(node: Mapping[str, Any]) -> list[str]:
    facts = [f"on {node['site']}"] if node.get("site") else []
    facts += [f"commit {str(node['git_commit'])[:12]}"] if node.get("git_commit") else []
    facts += [f"bound to {', '.join(node['zones'])}"] if node.get("zones") else []
    return facts + _made(node.get("created_at"), node.get("created_by"))


def _made(at: Any, by: Any) -> list[str]:
    return ([str(at)[:19].replace("T", " ")] if at else []) + ([f"by {by}"] if by else [])
