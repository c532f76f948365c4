"""What a setting must say about itself, so that its documentation cannot fall behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Knob:
    """Stands in a field's `Annotated`: why it exists, its unit, and the value that switches it off.

    `unit` is empty for names, addresses and switches; `off` is empty for what cannot be switched off.
    `secret` values are left out of error texts.
    """

    why: str
    unit: str = ""
    off: str = ""
    secret: bool = False


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown names, one section of the settings file each."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    section: ClassVar[str]

    @classmethod
    def environment_name(cls, field: str) -> str:
        """`port` of the section `server` is FERRY_SERVER_PORT in the environment."""
        return f"FERRY_{cls.section}_{field}".upper()

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Each field's knob, in the order of definition; a field without one is a defect of ours."""
        return {
            name: next(m for m in field.metadata if isinstance(m, Knob)) for name, field in cls.model_fields.items()
        }


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
