"""Environments that are made ahead, before anything needs them: a job that is over once its environment is there."""

from __future__ import annotations

from ferryml.control import jobs
from ferryml.control.contents import Contents
from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Json
from ferryml.domain.refs import AssetRef


def build(deps: Deps, caller: Caller, workspace: str, name: str, version: str, compute: str) -> Json:
    """Build a version's image on the compute's site, or prepare its packages there; answers the job that does.

    `version` may be `@latest` or `@LABEL`. Raises NotFound, Refused (`BuildsDisabled`, ...) as creating a job does.
    """
    allow(caller, "job.write", workspace)
    label = version.removeprefix("@") if version.startswith("@") else ""
    ref = AssetRef(name=name, version="" if label else version, label=label)
    row = Contents(deps, workspace).row(ref, ("environment",))
    document = {
        "type": "command", "command": "true", "compute": f"azureml:{compute}",
        "environment": f"azureml:{row.name}:{row.version}", "display_name": f"build of {row.name}:{row.version}",
        "properties": {"ferry.environment_build": f"{row.name}:{row.version}"},
    }  # fmt: skip
    return jobs.create(deps, caller, workspace, document, prepare_only=True)
