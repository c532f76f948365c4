"""Long operations: waited for with progress, and failed loudly when they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared
from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Refused


def left(shared: Shared, what: str, wait: Callable[[], Any]) -> None:
    """Wait until it is deleted, and say what is left of it on sites that are offline."""
    with shared.talk.busy(f"deleting {what}"):
        thing = wait()
    if thing is not None:
        shared.talk.note(f"{what}: {thing['ferry']['reason']}")


def settled(shared: Shared, what: str, wait: Callable[[], Any]) -> Any:
    """The thing once its operation has ended. Raises Refused with the operation's own code when it failed."""
    with shared.talk.busy(what):
        thing = wait()
    if thing["provisioning_state"] == "Succeeded":
        return thing
    ours = thing.get("ferry") or {}
    if ours.get("waiting_for"):
        # everything else is done: what is offline takes it up when it returns
        shared.talk.note(f"{what}: {ours['reason']}")
        return thing
    code = ours.get("code")
    known = cast(Code, code) if code in get_args(Code) else "ResourceNotReady"
    reason = ours.get("reason") or f"it is {thing['provisioning_state']}"
    kit.show(thing if shared.asked else None, shared)
    for line in (*(ours.get("error_lines") or ()), *(ours.get("traceback") or "").splitlines()):
        shared.talk.note(f"  {line}")
    if thing["provisioning_state"] == "Canceled":
        shared.talk.note(f"{what} was canceled: {reason}")
        raise typer.Exit(1)
    raise Refused(known, f"{what}: {reason}", "See get-logs." if "deployment" in what else "")
