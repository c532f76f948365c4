"""`ferry automation`: retrain when needed, prove the result, roll it out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit, named
from ferryml.cli.assets import loader
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("name", "phase", "last_run.state", "last_run.reason", "description")
RUN_COLUMNS = ("run", "state", "started_at", "candidate", "model", "reason")
RunId = Annotated[str | None, typer.Option("--run", "--run-id", help="The run; else the one that waits.")]
WAITING = "awaiting_approval"
app = new_app("Automations: retrain when needed, prove the result, roll it out.")


@kit.verb(app, "create")
def create(
    shared: Shared, file: kit.File, name: kit.OptionalName = None, set: kit.Set = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Make an automation, or replace it: create is an upsert here, as of schedules."""
    spec = loader("load_automation")(file, kit.overrides(set, name=name), warn=shared.talk.warn)
    with shared.talk.busy(f"creating automation {spec.name}"):
        return shared.client.automations.put(spec.name, spec)


named.add_show(app, "automation", "automations", COLUMNS)
named.add_delete(app, "automation", "automations")


@kit.verb(app, "history", RUN_COLUMNS)
def history(shared: Shared, name: kit.Name, max_results: kit.MaxResults = None) -> Any:
    """List runs, newest first, each transition with its evidence."""
    return shared.client.automations.history(name, max_results)


@kit.verb(app, "trigger")
def trigger(
    shared: Shared, name: kit.Name,
    set: Annotated[list[str] | None, typer.Option("--set", help="Inputs of the run: data=azureml:digits:3 ...")] = None,
) -> Any:  # fmt: skip
    """Start a run now."""
    from ferryml.sdk.overrides import value_of

    inputs = {key.removeprefix("inputs."): value_of(value) for key, _, value in (s.partition("=") for s in set or ())}
    return shared.client.automations.act(name, "trigger", {"inputs": inputs})


@kit.verb(app, "pause")
def pause(shared: Shared, name: kit.Name) -> Any:
    """Take no triggers until resume."""
    return shared.client.automations.act(name, "pause")


@kit.verb(app, "resume")
def resume(shared: Shared, name: kit.Name) -> Any:
    """Take triggers again."""
    return shared.client.automations.act(name, "resume")


@kit.verb(app, "approve")
def approve(shared: Shared, name: kit.Name, run: RunId = None) -> Any:
    """Let a waiting run go on to its rollout."""
    return _decide(shared, name, run, "approve")


@kit.verb(app, "reject")
def reject(shared: Shared, name: kit.Name, run: RunId = None) -> Any:
    """End a waiting run; the old model goes on serving."""
    return _decide(shared, name, run, "reject")


def _decide(shared: Shared, name: str, run: str | None, word: str) -> Any:
    if run is None:
        runs = shared.client.automations.history(name)
        waiting = [one for one in runs if one["state"] == WAITING]
        run = kit.need(str(waiting[0]["run"]) if waiting else None, "--run (no run waits for approval)")
    return shared.client.automations.decide(name, str(run), word)
