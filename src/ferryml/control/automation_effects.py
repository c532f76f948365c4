"""What a run of an automation sees, and does: jobs, models and rollouts under names derived from the run."""

from __future__ import annotations

from typing import assert_never, cast

from ferryml.control import assets, jobs, rollouts
from ferryml.control.automations import run_of
from ferryml.control.context import Caller, Deps
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need, parsed
from ferryml.control.triggers import MADE_BY
from ferryml.domain.access import Role
from ferryml.domain.automation import Effect, JobSeen, Register, Run, RunSeen, StartJob, StartRollout
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.expressions import bind
from ferryml.domain.spec.automation import Automation, JobStep
from ferryml.domain.spec.io import Input, Scalar
from ferryml.domain.spec.job import CommandJob
from ferryml.domain.spec.model import Model

METRICS_IN = ("training", "evaluating")


def look(deps: Deps, row: Row, spec: Automation, run: Run) -> RunSeen:
    """Everything outside the run that its next turn may depend on."""
    with deps.store.read() as tx:
        train = tx.get("job", row.workspace, run.job("train"))
        evaluate = tx.get("job", row.workspace, run.job("evaluate"))
        champion = rollouts.champion(tx, row.workspace, spec.rollout) if spec.rollout else ""
        registered = _registered(tx, row, run)
        rollout = rollouts.seen(tx, row.workspace, run.rollout)
    wanted = run.state in METRICS_IN
    return RunSeen(
        train=_job(deps, train, wanted and spec.evaluate is None), evaluate=_job(deps, evaluate, wanted),
        champion=champion, registered=registered, approval=row.status.get("approval", ""),
        approver=str(row.status.get("approver", "")), rollout=rollout,
    )  # fmt: skip


def apply(deps: Deps, row: Row, spec: Automation, run: Run, effect: Effect) -> None:
    """Carry out one effect; it may have been carried out before."""
    caller = caller_of(row)
    try:
        match effect:
            case StartJob():
                _start(deps, caller, row, spec, run, effect)
            case Register(candidate=candidate):
                _register(deps, caller, row, spec, candidate)
            case StartRollout(name=name):
                _roll_out(deps, caller, row, spec, run, name)
            case _:
                assert_never(effect)
    except Conflict as error:
        if error.code != "AlreadyExists" or not _ours(deps, row, effect):
            raise


def caller_of(row: Row) -> Caller:
    """Whose rights the run has: those of who made the automation, by the name of `run_as`."""
    kept = row.status["caller"]
    return Caller(str(kept["name"]), cast(Role, kept["role"]), str(kept["workspace"]))


def _ours(deps: Deps, row: Row, effect: Effect) -> bool:
    """Whether what has the name already was made by this run, and not by somebody who took the name before."""
    if isinstance(effect, Register):
        return False
    with deps.store.read() as tx:
        there = tx.get("job" if isinstance(effect, StartJob) else "rollout", row.workspace, effect.name)
    return there is not None and there.parent == row.name


def _step(spec: Automation, which: str) -> JobStep:
    step: JobStep | None = getattr(spec, which)
    if step is None:
        raise Refused("MissingField", f"automation {spec.name} has no {which}", "Add it, or remove the trigger.")
    return step


def _start(deps: Deps, caller: Caller, row: Row, spec: Automation, run: Run, effect: StartJob) -> None:
    training = effect.step == "train"
    step = _step(spec, "create_job" if training else "evaluate")
    given = {} if training else {"candidate": run.candidate, "champion": run.champion}
    job = _base(deps, row.workspace, step)
    data = run.trigger.get("data")
    scope: dict[str, Scalar] = {"trigger.data": str(data)} if data else {}
    inputs: dict[str, Input | Scalar] = {
        key: value for key, value in step.inputs.items() if not _unpinned(value, scope)
    }
    for key, path in given.items():
        if key in job.inputs and path:
            declared = job.inputs[key]
            kind = declared.type if isinstance(declared, Input) else None
            inputs[key] = Input(type=kind, path=path)
    changes: dict[str, Json] = {"name": effect.name}
    if step.compute:
        changes["compute"] = step.compute
    if step.experiment_name:
        changes["experiment_name"] = step.experiment_name
    bound = bind(job, inputs, scope).model_copy(update=changes)
    jobs.create(deps, caller, row.workspace, bound.model_dump(mode="json", exclude_none=True), parent=row.name)


def _unpinned(value: Input | Scalar, scope: dict[str, Scalar]) -> bool:
    """`${{trigger.data}}` where no data fired it: the job's own input stands (its latest version)."""
    text = value.path if isinstance(value, Input) else value
    return isinstance(text, str) and "trigger.data" in text and "trigger.data" not in scope


def _base(deps: Deps, workspace: str, step: JobStep) -> CommandJob:
    if isinstance(step.job, CommandJob):
        return step.job
    name = step.job.removeprefix("azureml:")
    with deps.store.read() as tx:
        row = need(tx, "job", workspace, name)
    document = {key: value for key, value in row.spec.items() if key != "name"}
    return parsed(CommandJob, document)


def _registered(tx: Tx, row: Row, run: Run) -> str:
    if run.trigger.get("model"):
        return str(run.trigger["model"])
    found = tx.find("model", workspace=row.workspace, label=(MADE_BY, row.name), archived="any", limit=1)
    return f"{found[0].name}:{found[0].version}" if found else ""


def _register(deps: Deps, caller: Caller, row: Row, spec: Automation, candidate: str) -> None:
    run = run_of(row)
    with deps.store.read() as tx:
        if _registered(tx, row, run):
            return
        train = need(tx, "job", row.workspace, run.job("train"))
    if spec.candidate is None:
        raise Refused("MissingField", f"automation {spec.name} has no candidate", "Say which output is the model.")
    output = train.spec.get("outputs", {}).get(spec.candidate.output) or {}
    kind = output.get("type") if str(output.get("type", "")).endswith("_model") else "custom_model"
    model = Model(
        name=spec.candidate.name, type=kind, path=candidate,
        description=f"made by automation {spec.name}, run {run.run}",
    )  # fmt: skip
    content = assets.locate(deps, row.workspace, model)
    assets.register(deps, caller, row.workspace, "model", model, content, {MADE_BY: row.name})


def _roll_out(deps: Deps, caller: Caller, row: Row, spec: Automation, run: Run, name: str) -> None:
    if spec.rollout is None:
        return
    document = spec.rollout.model_dump(mode="json", exclude_none=True)
    document["deployment"] = {**document["deployment"], "model": f"azureml:{run.model}"}
    rollouts.create(deps, caller, row.workspace, {**document, "name": name}, parent=row.name)


def _job(deps: Deps, row: Row | None, with_metrics: bool) -> JobSeen:
    if row is None:
        return JobSeen()
    metrics: dict[str, float] = {}
    if with_metrics and row.phase == "Completed":
        metrics = deps.tracking.metrics(row.workspace, str(row.status["mlflow_run_id"]))
    outputs = tuple(
        name for name, made in (row.status.get("outputs") or {}).items() if made.get("tree") or made.get("place")
    )
    return JobSeen(phase=row.phase, reason=str(row.status.get("reason", "")), metrics=metrics, outputs=outputs)
