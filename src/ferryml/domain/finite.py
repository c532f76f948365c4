"""JSON has no NaN and no Infinity; Python's reader takes them all the same, and MLflow would store them as 0."""

from __future__ import annotations

from typing import NoReturn

from ferryml.domain.errors import Refused


def refuse_constant(token: str) -> NoReturn:
    """For `json.loads(..., parse_constant=...)`: raises Refused(BadRequest) for a bare NaN or Infinity."""
    raise Refused("BadRequest", f"{token} is not JSON", f'Write it in quotes, as MLflow\'s clients do: "{token}".')
