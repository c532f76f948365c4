"""The OpenAPI document without a running server, for docs/openapi.json."""

from typing import Any, cast

from ferryml.bootstrap.dice import SystemDice
from ferryml.control.context import Deps
from ferryml.server.app import make_app, openapi
from ferryml.settings.server import ServerSettings


def document() -> dict[str, Any]:
    """As /openapi.json answers it. Describing the routes calls no hand, so none is plugged in."""
    unplugged = cast(Any, None)
    return openapi(
        make_app(Deps(unplugged, unplugged, unplugged, unplugged, SystemDice(), ServerSettings(), unplugged))
    )
