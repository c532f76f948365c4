"""`ferry down`: ends what `ferry up` started, and waits until it has."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app
from ferryml.cli.local import LocalState, home, started_at
from ferryml.cli.talk import Talk
from ferryml.cli.up import StateDir, where
from ferryml.domain.errors import Refused, Unavailable

STOP_S = 60.0
app = single_app()


@kit.verb(app, "down")
def down(
    shared: Shared, state_dir: StateDir = None,
    keep_work: Annotated[
        bool, typer.Option("--keep-work", help="Let jobs and deployments run on; the next `ferry up` takes them up.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="The private one of --local endpoints; the next --local command starts it.")
    ] = False,
) -> None:  # fmt: skip
    """Stop the server and the site, with the jobs and deployments that run on it."""
    end(home(os.environ) if local else where(state_dir), shared.talk, keep_work)


def end(state: LocalState, talk: Talk, keep_work: bool = False) -> None:
    """End what runs in a state folder, and wait. Raises Refused(NotRunning), Unavailable."""
    pid = state.running()
    if pid is None:
        raise Refused("NotRunning", f"nothing runs in {state.folder}", "Start it with `ferry up`.")
    begun = started_at(pid)
    os.kill(pid, signal.SIGUSR1 if keep_work else signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    with talk.busy("stopping"):
        while started_at(pid) == begun is not None:
            if time.monotonic() > deadline:
                raise Unavailable("Unavailable", f"process {pid} has not ended after {STOP_S:g} s", f"See {state.log}.")
            time.sleep(0.05)
    talk.note("Ferry has stopped.")
