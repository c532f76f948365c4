"""Who may do what: five roles, the rights of each, and nothing that depends on where it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ferryml.domain.errors import Forbidden, NotFound

Role = Literal["owner", "it-operator", "data-scientist", "reader", "scorer"]
Right = Literal[
    "workspace.read", "workspace.write", "asset.read", "asset.write", "datastore.write", "compute.write",
    "webhook.write", "job.read", "job.write", "endpoint.read", "endpoint.write", "endpoint.keys", "endpoint.score",
    "token.write", "audit.read", "site.read", "site.write", "server.write",
]  # fmt: skip

ROLES: tuple[Role, ...] = get_args(Role)
EVERYWHERE = "*"
"""A token of this workspace holds its role in all of them; only such a token manages sites and workspaces."""

_READ: frozenset[Right] = frozenset({"workspace.read", "asset.read", "job.read", "endpoint.read", "site.read"})
_SERVE: frozenset[Right] = frozenset({"endpoint.write", "endpoint.keys", "endpoint.score"})

RIGHTS: dict[Role, frozenset[Right]] = {
    "owner": frozenset(get_args(Right)),
    "it-operator": _READ | {"datastore.write", "compute.write", "webhook.write", "audit.read", "site.write"},
    "data-scientist": _READ | _SERVE | {"asset.write", "job.write"},
    "reader": _READ,
    "scorer": frozenset({"endpoint.score"}),
}

SERVER_WIDE: frozenset[Right] = frozenset({"site.write", "server.write"})
"""Rights that a role in one workspace does not give: what they touch belongs to all workspaces."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `workspace` is the one that the role holds in, or EVERYWHERE."""

    name: str
    role: Role
    workspace: str
    token: str = ""
    """Id of the token that was shown; empty for Ferry's own loops."""

    def sees(self, workspace: str) -> bool:
        """Whether this workspace exists for the caller at all."""
        return self.workspace in (EVERYWHERE, workspace)

    def may(self, right: Right, workspace: str) -> bool:
        """Whether `right` is the caller's in `workspace`; "" stands for the server as a whole."""
        if right in SERVER_WIDE and self.workspace != EVERYWHERE:
            return False
        return right in RIGHTS[self.role] and (workspace == "" or self.sees(workspace))


def demand(caller: Caller, right: Right, workspace: str) -> None:
    """Raise NotFound when the workspace is not the caller's to see, Forbidden when the right is missing."""
    if workspace and not caller.sees(workspace):
        raise NotFound("NotFound", f"there is no workspace {workspace!r} for you", "See `ferry workspace list`.")
    if not caller.may(right, workspace):
        raise Forbidden("Forbidden", _words(caller, right), _hint(right), {"right": right, "role": caller.role})


def _words(caller: Caller, right: Right) -> str:
    place = "on the whole server" if right in SERVER_WIDE else "in this workspace"
    return f"{caller.name} is {caller.role} of {caller.workspace!r}, which does not give {right} {place}"


def _hint(right: Right) -> str:
    able = [role for role in ROLES if right in RIGHTS[role]]
    where = " for all workspaces" if right in SERVER_WIDE else ""
    return f"Ask an owner for a token with the role {' or '.join(able)}{where}."
