"""What can go wrong, in three branches by who can mend it: the caller, time, or us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.domain.error_catalogue import Code


class FerryError(Exception):
    """One error shape for files, HTTP and the command line.

    Args:
        code: a key of the catalogue; each has a heading in docs/errors.md.
        message: what happened and why, one or two sentences, no secrets.
        hint: what to do about it, ideally a command; empty when nothing helps.
        details: machine-readable extras (JSON values only).
    """

    status = 500

    def __init__(self, code: Code, message: str, hint: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def as_dict(self) -> dict[str, Any]:
        """The wire shape `{code, message, hint, details}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}


class Refused(FerryError):
    """The caller asked for something that cannot be; asking again unchanged will not help."""

    status = 400


class Unauthenticated(Refused):
    """No credential, or one that is unknown, expired or revoked."""

    status = 401


class Forbidden(Refused):
    """The credential is good, the right is missing."""

    status = 403


class NotFound(Refused):
    """The thing named does not exist (or is not the caller's to see)."""

    status = 404


class Conflict(Refused):
    """It exists already, or another operation on it is under way."""

    status = 409


class TooLarge(Refused):
    """More bytes than the limit allows."""

    status = 413


class Unavailable(FerryError):
    """Nothing is wrong with the request; try again later."""

    status = 503


class Defect(FerryError):
    """A bug of ours. The log has the story under the request id."""

    status = 500
