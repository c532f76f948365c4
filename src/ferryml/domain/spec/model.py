"""Model assets: files that predict, in one of three layouts."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ferryml.domain.errors import Refused
from ferryml.domain.refs import AssetRef, Ref, RegistryRef, parse_ref
from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.values import (
    BY_SHAPE,
    IS_MAPPING,
    IS_TEXT,
    AssetName,
    AssetText,
    Fold,
    NoneIsEmpty,
    PathOrUri,
    TextMap,
    Version,
    is_uri,
)

ModelType = Annotated[Literal["custom_model", "mlflow_model", "triton_model"], Fold()]


class Model(Spec):
    """A versioned model; immutable but for stage, description, tags and properties."""

    read_only: ClassVar[frozenset[str]] = frozenset(
        {"job_name", "datastore", "utc_time_created", "auto_delete_setting", "system_metadata"}
    )

    name: AssetName | None = Field(None, description="Asset name; none only when inline (anonymous).")
    version: Version | None = Field(
        None, description="Version; none: the next number, or the content hash when anonymous."
    )
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    type: ModelType = Field("custom_model", description="Any files, an MLflow model folder, or a Triton repository.")
    path: PathOrUri = Field(
        description="Local file or folder, azureml://jobs/..., runs:/..., a datastore path or a URI."
    )
    flavors: Annotated[dict[str, Any], NoneIsEmpty] = Field({}, description="MLflow flavors; empty: read from MLmodel.")
    stage: str = Field("", description="Free word such as Development or Production; empty: none.")


def _path_is_model(value: Any) -> Any:
    if not isinstance(value, str) or (is_uri(value) and isinstance(_ref(value), AssetRef | RegistryRef)):
        return value
    return {"path": value}


def _ref(text: str) -> Ref | None:
    try:
        return parse_ref(text)
    except Refused as refused:
        raise problem(refused.code, refused.message) from refused


ModelOrRef = Annotated[
    Annotated[Model, IS_MAPPING] | Annotated[AssetText, IS_TEXT],
    BY_SHAPE,
    BeforeValidator(_path_is_model, json_schema_input_type=Model | str),
]
"""A model inline, or a reference such as azureml:NAME:VERSION."""
