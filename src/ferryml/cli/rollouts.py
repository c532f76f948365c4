"""`ferry rollout`: a new revision comes into service step by step, or not at all."""

from __future__ import annotations

from typing import Any

import typer

from ferryml.cli import kit, named
from ferryml.cli.assets import loader
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("name", "status", "endpoints", "ferry.reason")
PROMOTED = "promoted"
app = new_app("Rollouts: a new revision comes into service step by step, or not at all.")


@kit.verb(app, "create")
def create(
    shared: Shared, file: kit.File, name: kit.OptionalName = None, set: kit.Set = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Start a rollout and wait for its end; exits with 1 unless it was promoted."""
    spec = loader("load_rollout")(file, kit.overrides(set, name=name), warn=shared.talk.warn)
    with shared.talk.busy("sending what is local"):
        made = shared.client.rollouts.create(spec)
    if no_wait:
        return made
    with shared.talk.busy(f"rollout {made['name']}"):
        made = shared.client.rollouts.wait(made["name"], shared.talk.state)
    if made["status"] != PROMOTED:
        kit.show(made, shared, COLUMNS)
        shared.talk.note(f"rollout {made['name']} is {made['status']}: {(made.get('ferry') or {}).get('reason', '')}")
        raise typer.Exit(1)
    return made


named.add_show(app, "rollout", "rollouts", COLUMNS)


def _act(word: str, text: str) -> None:
    def act(shared: Shared, name: kit.Name) -> Any:
        return shared.client.rollouts.act(name, word)

    act.__doc__ = text
    kit.verb(app, word, COLUMNS)(act)


_act("promote", "Take the last step now, past what the steps still wait for.")
_act("rollback", "Go back to the old revision now.")
_act("pause", "Stay at the present step.")
_act("resume", "Go on from a pause or a hold.")
