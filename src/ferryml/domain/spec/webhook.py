"""The webhook: a web address that hears what becomes of automations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ferryml.domain.addresses import web_address
from ferryml.domain.errors import Refused
from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.values import Flag, Fold, Text, TextMap, named


def _address(url: str) -> str:
    try:
        return web_address(url)
    except Refused as error:
        raise problem(error.code, error.message) from error


class Webhook(Spec):
    """Where signed events are posted. Its secret is in no document: the server makes one, or `--secret` says it."""

    read_only: ClassVar[frozenset[str]] = frozenset({"phase"})

    name: Annotated[Text, named("webhook")] = Field(description="Unique in the workspace; `notify` names it.")
    type: Annotated[Literal["webhook"], Fold()] = Field("webhook", description="The kind of document.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    url: Annotated[str, AfterValidator(_address)] = Field(
        description="https address that events are posted to; all but its host is shown to owners and IT alone."
    )
    enabled: Flag = Field(True, description="Whether events are sent; what waits meanwhile waits on.")

    @model_validator(mode="before")
    @classmethod
    def _no_secret(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("secret"):
            raise problem(
                "NotSupported", "secrets do not belong into documents: give --secret, or let the server make one"
            )
        return data
