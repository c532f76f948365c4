"""`ferry demo`: the closed loop, to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import single_app
from ferryml.cli.programs import check_extras, program
from ferryml.domain.errors import Refused

app = single_app()


@kit.verb(app, "demo")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running, to look around.")] = False,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="On two real clusters.")] = False,
    kubeconfigs: Annotated[
        str | None, typer.Option("--kubeconfigs", help="Their files, CLOUD:ONPREM; else FERRY_TEST_KUBECONFIG.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Where pods of both clusters reach this machine.")
    ] = None,
    values: Annotated[
        Path | None, typer.Option("--values", help="What is special about them: see `ferry site manifests -f`.")
    ] = None,
) -> None:  # fmt: skip
    """Train, deploy, see the data change, retrain, prove, roll out: on two sites of this machine, or two clusters."""
    if not kubernetes and (kubeconfigs or host or values):
        raise Refused("Usage", "--kubeconfigs, --host and --values belong to --kubernetes", "Say --kubernetes, too.")
    check_extras()
    run = program("ferryml.cli.demo.run")
    if kubernetes:
        clusters = program("ferryml.cli.demo.clusters")
        code = run.main(keep, clusters.place(clusters.chosen(kubeconfigs, host, values)))
    else:
        code = run.main(keep)
    if code:
        raise typer.Exit(code)
