"""Model assets: files that predict, in one of three layouts."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.values import (
    BY_SHAPE,
    IS_MAPPING,
    IS_TEXT,
    AssetName,
    Fold,
    NoneIsEmpty,
    PathOrUri,
    Text,
    TextMap,
    Version,
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


ModelOrRef = Annotated[Annotated[Model, IS_MAPPING] | Annotated[Text, IS_TEXT], BY_SHAPE]
"""A model inline, or a reference such as azureml:NAME:VERSION."""
