"""`ferry demo`: the closed loop, to watch."""

from __future__ import annotations

from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import single_app
from ferryml.cli.programs import check_extras, program

app = single_app()


@kit.verb(app, "demo")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running, to look around.")] = False,
) -> None:
    """Train, deploy, see the data change, retrain, prove, roll out: on two sites of this machine."""
    check_extras()
    code = program("ferryml.cli.demo.run").main(keep)
    if code:
        raise typer.Exit(code)
