"""`ferry trace`: from a prediction back to everything it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app

app = single_app()


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
    """The trace as a person reads it: one step a line, what it came from below it."""
    steps = found.get("steps") or found.get("path")
    if isinstance(steps, list):
        for step in steps:
            yield _step(step)
        return
    for key, value in found.items():
        yield from _fact(key, value, "")


def _step(step: Any) -> str:
    if not isinstance(step, Mapping):
        return str(step)
    node = step.get("node") or step.get("target") or step.get("name") or ""
    why = step.get("relation") or step.get("what") or ""
    facts = ", ".join(
        f"{key} {value}" for key, value in step.items()
        if key not in ("node", "target", "name", "relation", "what", "depth") and not isinstance(value, dict | list)
    )  # fmt: skip
    return f"{'  ' * int(step.get('depth') or 0)}{node}{f'  ({why})' if why else ''}{f'  {facts}' if facts else ''}"


def _fact(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"{indent}{key}:"
        for inner, each in value.items():
            yield from _fact(inner, each, indent + "  ")
    elif isinstance(value, list):
        yield f"{indent}{key}:"
        for each in value:
            if isinstance(each, Mapping):
                yield f"{indent}  - " + ", ".join(f"{k}: {v}" for k, v in each.items() if not isinstance(v, dict | list))
            else:
                yield f"{indent}  - {each}"
    elif value not in (None, ""):
        yield f"{indent}{key}: {value}"
