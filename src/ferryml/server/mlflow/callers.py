"""Who calls MLflow, and what a role may do there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers

from ferryml.domain.errors import Forbidden
from ferryml.server.mlflow.routes import Right

Role = Literal["owner", "it-operator", "data-scientist", "reader", "scorer"]
READ: frozenset[Role] = frozenset({"owner", "it-operator", "data-scientist", "reader"})
WRITE: frozenset[Role] = frozenset({"owner", "data-scientist"})

JOB_TAG = "ferry.job"
"""On the run that Ferry made for a job."""
CHILD_TAG = "ferry.child_of"
"""On runs and logged models that a job made by itself: the job's name."""
OURS = "ferry."
"""Prefix of the tags that only Ferry writes."""


@dataclass(frozen=True)
class Caller:
    """A token, resolved for the workspace it acts in."""

    workspace: str
    role: Role
    job: str | None = None
    """Name of the job whose token this is; it then writes to its own runs only."""


Authorise = Callable[[Headers], Caller]
"""Reads `Authorization: Bearer TOKEN` (and X-MLFLOW-WORKSPACE, for tokens that are good for several workspaces).

Raises Unauthenticated or Forbidden. Runs in a worker thread, so it may ask the database.
"""


def require(caller: Caller, right: Right) -> None:
    """Raises Forbidden when the role, or being a job, does not carry the right."""
    if caller.role not in READ:
        raise Forbidden("Forbidden", f"The role {caller.role} may not use MLflow.", "Ask for the role reader.")
    if right in ("write", "curate") and caller.role not in WRITE:
        raise Forbidden("Forbidden", f"The role {caller.role} may only read.", "Ask for the role data-scientist.")
    if right == "curate" and caller.job is not None:
        raise Forbidden("Forbidden", "A job's token may not do that.", "Do it with a person's token.")
