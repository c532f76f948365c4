"""`ferry status`: what runs here, and whether it is well."""

from __future__ import annotations

import sys
from typing import Any

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app
from ferryml.cli.up import StateDir, where
from ferryml.domain.errors import FerryError, Refused
from ferryml.sdk.flow import listed

app = single_app()
COLUMNS = ("url", "running", "answers", "version", "sites")


@kit.verb(app, "status", COLUMNS)
def status(shared: Shared, state_dir: StateDir = None) -> Any:
    """Say what runs here, its address and its sites; exits with 1 when nothing does."""
    state = where(state_dir)
    pid = state.running()
    if pid is None:
        raise Refused("NotRunning", f"nothing runs in {state.folder}", "Start it with `ferry up`.")
    found: dict[str, Any] = {
        "url": state.url, "running": True, "pid": pid, "ready": state.ready(), "state_dir": str(state.folder),
        "log": str(state.log),
    }  # fmt: skip
    found |= _asked(shared, state.url, state.token)
    if shared.asked or not sys.stdout.isatty():
        return found
    print(f"Ferry runs at {state.url} (process {pid}, log {state.log})")
    for name, how in found.get("sites", {}).items():
        print(f"  site {name}: {how}")
    return None


def _asked(shared: Shared, url: str, token: str) -> dict[str, Any]:
    from ferryml.sdk.client import Client
    from ferryml.sdk.sending import Target

    try:
        with Client(target=Target(url, token)) as client:
            sites = client.run(listed("/api/v1/sites"))
            return {
                "answers": True, "version": client.version()["version"],
                "sites": {site["name"]: site["state"] for site in sites},
            }  # fmt: skip
    except FerryError as error:
        return {"answers": False, "error": error.as_dict()}
