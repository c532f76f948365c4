"""What goes into a job and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.values import (
    IS_MAPPING,
    AssetName,
    Flag,
    Fold,
    PathOrUri,
    RemotePath,
    TextMap,
    Version,
    is_uri,
)

InputType = Annotated[
    Literal[
        "uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model",
        "string", "number", "integer", "boolean",
    ],
    Fold(),
]  # fmt: skip
InputMode = Annotated[Literal["ro_mount", "download", "direct", "eval_mount", "eval_download"], Fold()]
OutputType = Annotated[
    Literal["uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model"], Fold()
]
OutputMode = Annotated[Literal["rw_mount", "upload", "direct"], Fold()]

LITERAL_TYPES = frozenset({"string", "number", "integer", "boolean"})

Scalar = bool | int | float | str
"""A literal input as written; rendered True/False, 1, 0.5 or the text itself."""


def _literal(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise problem("BadValue", "give a number, true or false, a string, or a mapping with a path")
    if isinstance(value, float) and not math.isfinite(value):
        raise problem("BadValue", "write nan and inf in quotes")
    return float(value) if isinstance(value, float) else value


Literal_ = Annotated[Scalar, BeforeValidator(_literal)]


class Input(Spec):
    """Data, a model or a literal that a command reads."""

    type: InputType | None = Field(
        None, description="What it is; none: the type of the asset that `path` names, else uri_folder."
    )
    path: PathOrUri | None = Field(
        None, description="Local path, asset reference or URI; none for literals and absent inputs."
    )
    mode: InputMode | None = Field(None, description="How the command gets it; none: ro_mount, which may be a copy.")
    optional: Flag = Field(False, description="May be absent; what needs it stands in $[[ ... ]].")
    default: Literal_ | None = Field(None, description="The literal's value; none: there is none.")
    min: float | None = Field(None, description="Smallest number allowed; none: no bound.")
    max: float | None = Field(None, description="Largest number allowed; none: no bound.")
    enum: tuple[Literal_, ...] = Field((), description="The only values allowed; empty: any.")
    description: str = Field("", description="For people.")

    @model_validator(mode="before")
    @classmethod
    def _value_is_default(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "value" in data and "default" not in data:
            return {"default" if key == "value" else key: value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Input:
        literal = self.type in LITERAL_TYPES
        if literal and (self.path or self.mode):
            raise problem("BadValue", f"a {self.type} input has no path or mode; give its value as default")
        if not literal and self.type and self.default is not None:
            raise problem("BadValue", f"a {self.type} input has no default; give a path")
        self._check_literal()
        return self

    def _check_literal(self) -> None:
        value = self.default
        if value is None:
            return
        fits = {
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "boolean": isinstance(value, bool) or str(value).lower() in ("true", "false"),
        }
        if not fits.get(self.type or "string", True):
            raise problem("BadValue", f"{value!r} is not a {self.type}")
        if self.enum and value not in self.enum:
            raise problem("BadValue", f"{value!r} is not one of {', '.join(map(str, self.enum))}")
        if isinstance(value, int | float) and not (
            (self.min is None or value >= self.min) and (self.max is None or value <= self.max)
        ):
            raise problem("BadValue", f"{value} is outside {self.min} to {self.max}")

    @property
    def is_literal(self) -> bool:
        """Whether it is a value rather than a file."""
        return self.type in LITERAL_TYPES or (self.type is None and self.path is None)


class Output(Spec):
    """A file or folder that a command writes; named ones become assets."""

    type: OutputType = Field(
        "uri_folder", description="uri_file: the path of a file; others: of a folder that exists beforehand."
    )
    path: RemotePath | None = Field(
        None, description="Where it is kept; none: the workspace's store, under the job's name."
    )
    mode: OutputMode = Field("rw_mount", description="How it leaves the command's machine.")
    name: AssetName | None = Field(
        None, description="Registers the output as an asset of this name; none: not registered."
    )
    version: Version | None = Field(None, description="Version of that asset; none: the next number.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="Of the registered asset.")

    @model_validator(mode="after")
    def _remote(self) -> Output:
        if self.path is not None and not is_uri(self.path):
            raise problem("BadReference", f"output path {self.path!r} is local; give a datastore path")
        if self.version and not self.name:
            raise problem("BadValue", "an output's version needs its name")
        return self


def _input_shape(value: Any) -> str:
    return "~mapping" if isinstance(value, Mapping | BaseModel) else "~literal"


def _as_input(value: Any) -> Any:
    if value is None:
        return {"optional": True}
    if isinstance(value, str) and value.startswith(("azureml:", "ferry:")):
        return {"path": value}
    return value


def _as_output(value: Any) -> Any:
    return {} if value is None else {"path": value} if isinstance(value, str) else value


InputOrLiteral = Annotated[
    Annotated[Input, IS_MAPPING] | Annotated[Literal_, Tag("~literal")],
    Discriminator(_input_shape),
    BeforeValidator(_as_input, json_schema_input_type=Input | Scalar | None),
]
"""`{path: ...}`, or a bare value; a bare azureml: reference is an asset."""

OutputForm = Annotated[Output, BeforeValidator(_as_output, json_schema_input_type=Output | str | None)]
"""`{...}`, or nothing at all for a folder in the default place."""
