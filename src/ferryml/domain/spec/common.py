"""What all specs share: frozen, strict, and able to say which place of which file is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from ferryml.domain.error_catalogue import Code

READ_ONLY = frozenset({"$schema", "id", "status", "creation_context", "provisioning_state", "provisioning_errors"})
"""Keys that servers print and people paste back; dropped in every document."""


@dataclass(slots=True)
class Reading:
    """What a parse knows besides the data; handed to validators as pydantic's context.

    Args:
        locate: turns a local path as written into an absolute one; None leaves paths as they are.
        warnings: filled with what was accepted but will not do what its author may expect.
    """

    locate: Callable[[str], str] | None = None
    warnings: list[str] = field(default_factory=list)


class Spec(BaseModel):
    """A frozen piece of a document; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    read_only: ClassVar[frozenset[str]] = frozenset()
    """Keys of this class that are dropped silently, besides READ_ONLY."""

    @model_validator(mode="before")
    @classmethod
    def _drop_read_only(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        dropped = (READ_ONLY | cls.read_only) - cls.model_fields.keys()
        return {key: value for key, value in data.items() if key not in dropped}


def problem(code: Code, message: str) -> PydanticCustomError:
    """An error for validators to raise: it keeps its place, and becomes `Refused(code)` in `domain.parse`."""
    # braces would be taken for placeholders by pydantic's template
    return PydanticCustomError(code, "{message}", {"message": message})


def warn(info: ValidationInfo, message: str) -> None:
    """Note something accepted for compatibility; silent where nobody collects warnings."""
    if isinstance(info.context, Reading) and message not in info.context.warnings:
        info.context.warnings.append(message)
