"""Ferry: any Kubernetes cluster, or this machine, as a machine-learning compute target.

    from ferryml import Client, load_job

    client = Client()                       # where `ferry up`, FERRY_URL or `ferry login` say
    job = client.jobs.create(load_job("job.yml"))
    client.jobs.stream(job["name"], print)

Everything is imported when it is first used: `import ferryml` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferryml.domain.errors import (
        Conflict,
        Defect,
        FerryError,
        Forbidden,
        NotFound,
        Refused,
        Unauthenticated,
        Unavailable,
    )
    from ferryml.domain.spec import (
        Automation,
        Code,
        CommandJob,
        Data,
        Datastore,
        Environment,
        Input,
        KubernetesCompute,
        LocalCompute,
        Model,
        OnlineDeployment,
        OnlineEndpoint,
        Output,
        Rollout,
        Webhook,
        Workspace,
    )
    from ferryml.sdk.aio import AsyncClient
    from ferryml.sdk.builders import command
    from ferryml.sdk.client import Client
    from ferryml.sdk.flows import Prediction
    from ferryml.sdk.load import (
        load,
        load_automation,
        load_code,
        load_compute,
        load_data,
        load_datastore,
        load_deployment,
        load_endpoint,
        load_environment,
        load_job,
        load_model,
        load_rollout,
        load_webhook,
        load_workspace,
    )

_HOMES = {
    "ferryml.domain.errors": (
        "Conflict", "Defect", "FerryError", "Forbidden", "NotFound", "Refused", "Unauthenticated", "Unavailable",
    ),
    "ferryml.domain.spec": (
        "Automation", "Code", "CommandJob", "Data", "Datastore", "Environment", "Input", "KubernetesCompute",
        "LocalCompute", "Model", "OnlineDeployment", "OnlineEndpoint", "Output", "Rollout", "Webhook",
        "Workspace",
    ),
    "ferryml.sdk.aio": ("AsyncClient",),
    "ferryml.sdk.builders": ("command",),
    "ferryml.sdk.client": ("Client",),
    "ferryml.sdk.flows": ("Prediction",),
    "ferryml.sdk.load": (
        "load", "load_automation", "load_code", "load_compute", "load_data", "load_datastore", "load_deployment",
        "load_endpoint", "load_environment", "load_job", "load_model", "load_rollout", "load_webhook",
        "load_workspace",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncClient",
    "Automation",
    "Client",
    "Code",
    "CommandJob",
    "Conflict",
    "Data",
    "Datastore",
    "Defect",
    "Environment",
    "FerryError",
    "Forbidden",
    "Input",
    "KubernetesCompute",
    "LocalCompute",
    "Model",
    "NotFound",
    "OnlineDeployment",
    "OnlineEndpoint",
    "Output",
    "Prediction",
    "Refused",
    "Rollout",
    "Unauthenticated",
    "Unavailable",
    "Webhook",
    "Workspace",
    "command",
    "load",
    "load_automation",
    "load_code",
    "load_compute",
    "load_data",
    "load_datastore",
    "load_deployment",
    "load_endpoint",
    "load_environment",
    "load_job",
    "load_model",
    "load_rollout",
    "load_webhook",
    "load_workspace",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'ferryml' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """For completion in notebooks."""
    return sorted({*globals(), *__all__})
