"""The small value types of specs: forgiving about spelling, exact about meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Tag,
    ValidationInfo,
)
from pydantic import GetJsonSchemaHandler as JsonHandler
from pydantic_core import CoreSchema, core_schema

from ferryml.domain.errors import Refused
from ferryml.domain.names import RULES
from ferryml.domain.refs import AssetRef, Ref, RegistryRef, parse_ref
from ferryml.domain.spec.common import Reading, problem

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_GIT = re.compile(r"^git@[\w.-]+:")
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*$")
_ISO = re.compile(r"^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_ARM_COMPUTE = re.compile(r"/computes/([^/]+)/?$", re.IGNORECASE)


class WrittenFloat(float):
    """A float that remembers how it was written, so that `version: 1.10` stays "1.10"."""

    written: str

    def __new__(cls, written: str) -> WrittenFloat:
        """Parse `written`; raises ValueError when it is no number."""
        made = super().__new__(cls, written.replace("_", ""))
        made.written = written
        return made


class Fold:
    """Makes a Literal accept its values in any case and in CamelCase: `Key`, `SystemAssigned`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        known = {folded(value): value for value in get_args(source)}
        return core_schema.no_info_before_validator_function(
            lambda value: known.get(folded(value), value) if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: JsonHandler) -> dict[str, Any]:
        exact = dict(handler(schema))
        values = exact.get("enum") or [exact[key] for key in ("const",) if key in exact]
        if not values:
            return exact
        return {"anyOf": [exact, {"type": "string", "pattern": f"^({'|'.join(map(_any_case, values))})$"}]}


def folded(text: str) -> str:
    """`SystemAssigned`, `system_assigned` and `system-assigned` are one word."""
    return _CAMEL.sub("_", text.strip()).lower().replace("-", "").replace("_", "")


def written(value: Any) -> Any:
    """A scalar as text: numbers as their author wrote them, booleans as Python prints them."""
    if isinstance(value, WrittenFloat):
        return value.written
    return str(value) if isinstance(value, bool | int | float) else value


def seconds(value: Any) -> Any:
    """`90`, `"2m"`, `"24h"`, `"PT15M"` as seconds."""
    if not isinstance(value, str):
        return value
    if plain := _DURATION.match(value):
        return float(plain[1]) * _SECONDS[plain[2] or "s"]
    if (iso := _ISO.match(value.upper())) and any(iso.groups()):
        return sum(float(n or 0) * _SECONDS[unit] for n, unit in zip(iso.groups(), "wdhms", strict=True))
    raise problem("BadValue", f"{value!r} is not a duration: write seconds, or a number with s, m, h or d such as 15m")


def is_uri(text: str) -> bool:
    """Whether a path is remote (a URI, a reference, a git address, or decided by an expression later)."""
    return bool((_URI.match(text) and not text.startswith("file:")) or _GIT.match(text) or "${{" in text)


def strip_file(text: str) -> str:
    """`file:./x` is `./x`."""
    return text.removeprefix("file://").removeprefix("file:")


def _resolve(text: str, info: ValidationInfo) -> str:
    if not text.strip() or "\0" in text:
        raise problem("BadValue", "a path may not be empty")
    if is_uri(text):
        return _checked(text)
    local = strip_file(text)
    reading = info.context
    return reading.locate(local) if isinstance(reading, Reading) and reading.locate else local


def _checked(text: str, *kinds: type[Ref]) -> str:
    if "${{" in text:
        return text
    try:
        ref = parse_ref(text)
    except Refused as refused:
        raise problem(refused.code, refused.message) from refused
    if kinds and not isinstance(ref, kinds):
        raise problem("BadReference", f"{text!r} names no asset: write azureml:NAME:VERSION or azureml:NAME@latest")
    return text


def compute_name(text: Any) -> Any:
    """`azureml:onprem`, a full resource id and `onprem` all name the compute `onprem`."""
    if not isinstance(text, str) or "${{" in text:
        return text
    if found := _ARM_COMPUTE.search(text):
        return found[1]
    return text.strip().removeprefix("azureml:").removeprefix("ferry:")


def _bool_word(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | float | Mapping | BaseModel) else value


def _mapping_or_empty(value: Any) -> Any:
    return {} if value is None else value


def _shape(value: Any) -> str:
    return "~mapping" if isinstance(value, Mapping | BaseModel) else "~text"


def type_of(*kinds: type[BaseModel], default: str = "") -> Discriminator:
    """Chooses among specs by their `type`, in any case; `default` is the type when none is given."""
    by_type = {folded(value): kind for kind in kinds for value in get_args(kind.model_fields["type"].annotation)}

    def tag(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return f"~{type(value).__name__}"
        said = value.get("type") or default if isinstance(value, Mapping) else default
        kind = by_type.get(folded(said)) if isinstance(said, str) else None
        return f"~{kind.__name__}" if kind else None

    names = ", ".join(sorted(value for kind in kinds for value in get_args(kind.model_fields["type"].annotation)))
    return Discriminator(
        tag, custom_error_type="BadValue", custom_error_message=f"give a mapping whose type is one of: {names}"
    )


def _any_case(word: str) -> str:
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else "[_-]?" if c in "_-" else c for c in word)


IS_TEXT, IS_MAPPING, BY_SHAPE = Tag("~text"), Tag("~mapping"), Discriminator(_shape)
"""A union of a string and a mapping; tags that start with ~ never show in the paths of errors."""

Text = Annotated[str, BeforeValidator(written, json_schema_input_type=str | int | float | bool)]
"""A string that may be written as a number."""

Flag = Annotated[bool, BeforeValidator(_bool_word, json_schema_input_type=bool | str)]
"""A boolean; "True", "yes", "1" are understood."""

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

Duration = Annotated[float, BeforeValidator(seconds, json_schema_input_type=str | int | float), Field(ge=0)]
"""Seconds; written as a number, "2m", "24h" or ISO-8601."""

PathOrUri = Annotated[str, AfterValidator(_resolve)]
"""A local path (absolute once loaded from a file) or any URI or reference."""

RemotePath = Annotated[str, AfterValidator(_checked)]
"""A URI or reference."""

AssetText = Annotated[str, AfterValidator(lambda text: _checked(text, AssetRef, RegistryRef))]
"""A reference to an asset: azureml:NAME:VERSION, azureml:NAME@LABEL, azureml:NAME, azureml://registries/..."""

ComputeName = Annotated[str, BeforeValidator(compute_name)]
"""The bare name of a compute."""

TextMap = Annotated[dict[str, Text], BeforeValidator(_mapping_or_empty, json_schema_input_type=dict[str, Text] | None)]
"""String to string; empty when null."""

OneOrMany = BeforeValidator(_listed)
"""A single value where a list is expected is a list of one."""

NoneIsEmpty = BeforeValidator(_mapping_or_empty)
"""Null where a mapping is expected is an empty one."""


def named(noun: str) -> AfterValidator:
    def check(name: str) -> str:
        if fault := RULES[noun].fault(name):
            raise problem("BadName", fault)
        return name

    return AfterValidator(check)


AssetName = Annotated[str, BeforeValidator(written, json_schema_input_type=str | int | float), named("asset")]
Version = Annotated[str, BeforeValidator(written, json_schema_input_type=str | int | float), named("version")]
JobName = Annotated[Text, named("job")]
EndpointName = Annotated[Text, named("endpoint")]
DeploymentName = Annotated[Text, named("deployment")]
ZoneName = Annotated[Text, named("zone")]
SiteName = Annotated[Text, named("site")]
KeyName = Annotated[Text, named("input or output")]
VariableName = Annotated[Text, named("environment variable")]
