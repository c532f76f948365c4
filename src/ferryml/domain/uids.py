"""Names on the link: one text per job or endpoint, from which its workspace can be read back without doubt."""

from __future__ import annotations

from typing import Literal

from ferryml.domain.errors import Refused

UidKind = Literal["job", "endpoint", "feedback", "settings"]


def uid_of(kind: UidKind, workspace: str, name: str) -> str:
    """`job.WORKSPACE.NAME`; dots of the workspace become `~`, so that the second dot always ends it."""
    return f"{kind}.{workspace.replace('.', '~')}.{name}"


def split_uid(uid: str) -> tuple[str, str, str]:
    """(kind, workspace, name); workspace is "" for kinds without one. Raises Refused `BadRequest`."""
    kind, _, rest = uid.partition(".")
    if kind in ("feedback", "settings") and rest:
        return kind, "", rest
    workspace, _, name = rest.partition(".")
    if not kind or not workspace or not name:
        raise Refused("BadRequest", f"{uid[:200]!r} is not a uid")
    return kind, workspace.replace("~", "."), name
