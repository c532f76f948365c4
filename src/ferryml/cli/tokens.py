"""`ferry token`: who may do what, and for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app
from ferryml.domain.errors import Refused

COLUMNS = ("id", "name", "role", "state", "expires_at", "created_by")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Id = Annotated[str, typer.Option("--id", "--name", "-n", help="Its id, as create and list print it.")]
app = new_app("Tokens: who may do what, and for how long.")


@kit.verb(app, "create")
def create(
    shared: Shared, name: kit.Name,
    role: Annotated[
        Literal["owner", "it-operator", "data-scientist", "reader", "scorer"],
        typer.Option("--role", help="Its rights."),
    ] = "data-scientist",
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", help="Life: 90s, 30m, 12h or 7d; else the server's default.")
    ] = None,
) -> Any:  # fmt: skip
    """Make a token; its text is printed now and never again."""
    fields: dict[str, Any] = {"name": name, "role": role}
    if expires_in is not None:
        fields["expires_in_s"] = seconds(expires_in)
    return shared.client.tokens.create(fields)


@kit.verb(app, "list", COLUMNS)
def list_(shared: Shared) -> Any:
    """List the workspace's tokens, without their text."""
    return shared.client.tokens.list()


@kit.verb(app, "delete")
def delete(shared: Shared, id: Id, yes: kit.Yes = False) -> None:
    """Revoke a token: it opens nothing from now on. Prints nothing."""
    kit.confirm(yes, f"Revoke token {id}?")
    shared.client.tokens.delete(id)


def seconds(text: str) -> int:
    """`7d` as seconds. Raises Refused(BadValue)."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in UNITS else (text, "s")
    if not number.isdigit() or int(number) == 0:
        raise Refused("BadValue", f"{text!r} is not a time", "Write 90s, 30m, 12h or 7d.")
    return int(number) * UNITS[unit]
