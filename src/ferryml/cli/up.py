"""`ferry up`: server and one local site in one process, in the background unless told otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app
from ferryml.cli.local import LocalState, nearest
from ferryml.cli.programs import check_extras, log_to_stderr
from ferryml.domain.errors import Unavailable

START_S = 90.0
"""Longest wait for the background process; the first start makes databases."""
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="State folder; else FERRY_STATE_DIR or .ferry.")]
app = single_app()


@kit.verb(app, "up")
def up(
    shared: Shared, state_dir: StateDir = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Else that of last time, 8765, or any free one.")
    ] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here, and log to standard error.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of settings.")] = None,
) -> None:  # fmt: skip
    """Start a server and one local site on this machine; prints the address."""
    check_extras()
    named = state_dir or (Path(os.environ["FERRY_STATE_DIR"]) if "FERRY_STATE_DIR" in os.environ else Path(".ferry"))
    state = LocalState(named.absolute())
    if foreground:
        from ferryml.cli.together import run

        log_to_stderr()
        with state.locked():
            run(state, port, config)
        return
    if state.running() is not None:
        raise state.taken()
    argv = (
        *(("--port", str(port)) if port is not None else ()),
        *(("--config", str(config.absolute())) if config else ()),
    )
    with shared.talk.busy("starting"):
        begin(state, argv, os.environ)
    print(state.url)
    shared.talk.note(f"Ferry runs. Its log is {state.log}; stop it with `ferry down`.")


def begin(state: LocalState, options: Sequence[str], environ: Mapping[str, str]) -> None:
    """Start it in the background, and wait until it is ready. Raises Unavailable with what it said."""
    state.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [sys.executable, "-m", "ferryml.cli.main", "up", "--foreground", "--state-dir", str(state.folder), *options]
    with state.log.open("ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True,
            env=dict(environ),
        )  # fmt: skip
    deadline = time.monotonic() + START_S
    while not (state.ready() and state.running() == process.pid):
        if process.poll() is not None:
            raise Unavailable("Unavailable", f"it ended at once:\n{_tail(state.log, start)}", f"See {state.log}.")
        if time.monotonic() > deadline:
            process.terminate()
            raise _late(state)
        time.sleep(0.05)


def expect(state: LocalState) -> None:
    """Wait for one that was started already to be ready. Raises Unavailable."""
    deadline = time.monotonic() + START_S
    while not state.ready():
        if state.running() is None or time.monotonic() > deadline:
            raise _late(state)
        time.sleep(0.05)


def _late(state: LocalState) -> Unavailable:
    return Unavailable("Unavailable", f"it was not ready after {START_S:g} s", f"See {state.log}.")


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = [line for line in lines if line.startswith(("Error:", "Hint:"))]
    return "\n".join(said or lines[-15:])


def where(state_dir: Path | None) -> LocalState:
    """The state folder that `down` and `status` look at."""
    return nearest(state_dir, Path.cwd())
