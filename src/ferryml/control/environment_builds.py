"""Environments that are made ahead, before anything needs them: a job that is over once its environment is there."""

from __future__ import annotations

from ferryml.control import assets, jobs
from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Json


def build(deps: Deps, caller: Caller, workspace: str, name: str, version: str, compute: str) -> Json:
    """Build a version's image on the compute's site, or prepare its packages there; answers the job that does.

    `version` may be `@latest` or `@LABEL`. Raises NotFound, Refused (`BuildsDisabled`, ...) as creating a job does.
    """
    allow(caller, "job.write", workspace)
    found = assets.show(deps, caller, workspace, "environment", name, version)
    called = f"{name}:{found['version']}"
    document = {
        "type": "command", "command": "true", "compute": f"azureml:{compute}",
        "environment": f"azureml:{called}", "display_name": f"build of {called}",
        "properties": {"ferry.environment_build": called},
    }  # fmt: skip
    return jobs.create(deps, caller, workspace, document, prepare_only=True)
