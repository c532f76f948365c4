"""Whose workspace the present call acts in, for code of ours that MLflow calls back; and the names it goes by."""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mlflow.utils.workspace_context import ServerWorkspaceContext

from ferryml.domain.errors import Defect

_VALID = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])$")
_TAKEN = {"workspaces", "api", "ajax-api", "static-files"}
_current: ContextVar[str] = ContextVar("ferry_mlflow_workspace")


def mlflow_name(workspace: str) -> str:
    """MLflow's name of a Ferry workspace: the same where its rules allow (2 to 63 of a-z 0-9 -), else a digest."""
    if _VALID.match(workspace) and workspace not in _TAKEN and not workspace.startswith("x--"):
        return workspace
    digest = hashlib.sha256(workspace.encode()).digest()[:20]
    return "x--" + base64.b32encode(digest).decode().lower()


@contextmanager
def inside(workspace: str) -> Iterator[None]:
    """Everything MLflow does in this block sees that workspace only."""
    token = _current.set(workspace)
    try:
        with ServerWorkspaceContext(mlflow_name(workspace)):
            yield
    finally:
        _current.reset(token)


def current() -> str:
    """The workspace of the present call.

    Raises:
        Defect: outside of any; nothing may fall back to a default workspace.
    """
    workspace = _current.get("")
    if not workspace:
        raise Defect("Internal", "MLflow was asked for files outside of any workspace.")
    return workspace
