"""What a job's program is told: its command with paths put in, and its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferryml.domain.expressions import render
from ferryml.domain.orders import JobOrder

DATA_TYPES = frozenset({"uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model"})
MARKER = "FERRY_ATTEMPT"
"""Variable that every process of an attempt inherits; `marker` gives its value."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the program finds things, as it sees them.

    `inputs` and `outputs` hold paths (or URIs for `direct`) of the data ones; literals come from the order.
    """

    work: str
    """Working directory: the code folder."""
    gateway: str
    """`http://127.0.0.1:PORT`, no trailing slash."""
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def marker(uid: str, attempt: int, work: str) -> str:
    """What only this attempt's processes carry; `work` tells apart two sites of one machine with jobs of one name."""
    return f"{uid}/{attempt} in {work}"


def rendered_command(order: JobOrder, places: Places) -> str:
    """The command for `/bin/bash -c`; raises Refused `UnresolvedExpression`."""
    return render(order.command, _inputs(order, places), places.outputs, order.name)


def job_variables(order: JobOrder, places: Places, attempt: int, uid: str) -> dict[str, str]:
    """The user's variables and those that every job has; raises Refused `UnresolvedExpression`.

    The promised ones win, save the MLFLOW_ ones that a user may point elsewhere on purpose. The gateway's token is
    not among them: it never lies in a file that others are told of.
    """
    inputs = _inputs(order, places)
    user = {
        key: render(value, inputs, places.outputs, order.name) for key, value in order.environment_variables.items()
    }
    return {**_mlflow(order, places), **user, **_always(order, places, attempt, uid)}


def process_variables(order: JobOrder) -> dict[str, str]:
    """What the first process of a one-machine job is told about its group; others have other ranks."""
    if _kind(order) != "pytorch":
        return {}
    count = process_count(order)
    return {
        "MASTER_ADDR": "127.0.0.1",
        "NODE_RANK": "0",
        "WORLD_SIZE": str(count),
        "RANK": "0",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": str(count),
    }


def process_count(order: JobOrder) -> int:
    """Processes on one machine; 1 unless a pytorch distribution says more."""
    if _kind(order) != "pytorch":
        return 1
    return max(1, int(order.distribution.get("process_count_per_instance") or 1))


def local_notes(order: JobOrder) -> tuple[str, ...]:
    """What a site without containers cannot honour, each said once."""
    notes = []
    if order.environment.image:
        notes.append(f"image {order.environment.image} is not honoured by a local site; its packages are installed")
    if order.instance_count > 1:
        notes.append(f"instance_count {order.instance_count} is not honoured by a local site; one instance runs")
    if _kind(order) not in ("", "pytorch"):
        notes.append(f"distribution {_kind(order)} is not honoured by a local site; one process runs")
    if order.instance_type and order.instance_type != "defaultinstancetype":
        notes.append(f"instance type {order.instance_type} sets no limits on a local site")
    return tuple(notes)


def _kind(order: JobOrder) -> str:
    return str(order.distribution.get("type") or "").lower()


def _inputs(order: JobOrder, places: Places) -> dict[str, str]:
    literals = {name: value.literal for name, value in order.inputs.items() if value.literal is not None}
    return {**literals, **places.inputs}


def _mlflow(order: JobOrder, places: Places) -> dict[str, str]:
    variables = {
        "MLFLOW_TRACKING_URI": f"{places.gateway}/mlflow",
        # The most that the client allows: with its own pauses it waits out a link that is cut for minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "10",
    }
    if order.mlflow_run_id:
        variables["MLFLOW_RUN_ID"] = order.mlflow_run_id
    if order.mlflow_experiment:
        variables["MLFLOW_EXPERIMENT_NAME"] = order.mlflow_experiment
    return variables


def _always(order: JobOrder, places: Places, attempt: int, uid: str) -> dict[str, str]:
    data = {f"AZURE_ML_INPUT_{name}": path for name, path in places.inputs.items()}
    data |= {f"AZURE_ML_OUTPUT_{name}": path for name, path in places.outputs.items()}
    return {
        **data,
        "AZUREML_RUN_ID": order.name,
        "AZUREML_ROOT_RUN_ID": order.name,
        "AZUREML_EXPERIMENT_NAME": order.mlflow_experiment,
        "AZUREML_OUTPUT_DIR": f"{places.work}/outputs",
        "AZUREML_ARM_WORKSPACE_NAME": order.workspace,
        "AZUREML_ARM_PROJECT_NAME": order.mlflow_experiment,
        "AZUREML_ARM_SUBSCRIPTION": "",
        "AZUREML_ARM_RESOURCEGROUP": "",
        "AZUREML_CR_NODE_RANK": "0",
        "FERRY_JOB": order.name,
        "FERRY_WORKSPACE": order.workspace,
        MARKER: marker(uid, attempt, places.work),
        **process_variables(order),
    }
