"""What a program runs in: an image, packages on top of it, or an image to build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from ferryml.domain.spec.common import Spec, problem, warn
from ferryml.domain.spec.values import (
    BY_SHAPE,
    IS_MAPPING,
    IS_TEXT,
    AssetName,
    AssetText,
    Fold,
    OneOrMany,
    PathOrUri,
    TextMap,
    Version,
)


class Build(Spec):
    """An image to be built from a folder."""

    path: PathOrUri = Field(description="Folder that is the build context; a local path or a git address.")
    dockerfile_path: str = Field("Dockerfile", description="Dockerfile inside the folder.")


class Route(Spec):
    """One HTTP route of a custom container."""

    path: str = Field("/", description="Path of the route, starting with a slash.", pattern="^/")
    port: int = Field(5001, description="TCP port the container listens on.", ge=1, le=65535)


class InferenceConfig(Spec):
    """Where a custom container answers; all three routes are needed."""

    liveness_route: Route = Field(description="Answers 200 while the process is alive.")
    readiness_route: Route = Field(description="Answers 200 when requests may come.")
    scoring_route: Route = Field(description="Where predictions are asked.")


_CONDA_KEYS = frozenset({"name", "channels", "dependencies", "prefix", "variables"})


def _conda(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if unknown := sorted(set(value) - _CONDA_KEYS):
        raise problem("UnknownField", f"unknown key {unknown[0]!r}; a conda file has {', '.join(sorted(_CONDA_KEYS))}")
    lines = value.get("dependencies") or []
    if not isinstance(lines, list) or not all(_dependency(line) for line in lines):
        raise problem("BadValue", "dependencies must be a list of packages, with at most one mapping pip: [...]")
    return value


def _dependency(line: Any) -> bool:
    if isinstance(line, Mapping):
        pip = line.get("pip")
        return set(line) == {"pip"} and isinstance(pip, list) and all(isinstance(one, str) for one in pip)
    return isinstance(line, str)


CondaFile = Annotated[
    Annotated[PathOrUri, IS_TEXT] | Annotated[dict[str, Any], AfterValidator(_conda), IS_MAPPING], BY_SHAPE
]
Requirements = Annotated[tuple[str, ...], OneOrMany]


class Environment(Spec):
    """An image, a conda or pip specification, or both; immutable once it has a version."""

    read_only: ClassVar[frozenset[str]] = frozenset({"datastore", "auto_delete_setting"})

    name: AssetName | None = Field(None, description="Asset name; none for an inline (anonymous) environment.")
    version: Version | None = Field(
        None, description="Version; none: the next number, or the content hash when anonymous."
    )
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    image: str | None = Field(None, description="Container image; none: the site's default image.", min_length=1)
    build: Build | None = Field(None, description="Build the image from a folder; excludes `image`.")
    conda_file: CondaFile | None = Field(
        None, description="Conda specification: a file, or its content inline; none: nothing beyond the image."
    )
    pip_requirements: Requirements = Field(
        (), description="Requirement lines, or a requirements file; empty: nothing beyond image and conda_file."
    )
    os_type: Annotated[Literal["linux", "windows"], Fold()] = Field("linux", description="Only linux runs.")
    inference_config: InferenceConfig | None = Field(
        None, description="Routes of a custom container; none: Ferry's inference server on port 5001."
    )

    @model_validator(mode="before")
    @classmethod
    def _old_forms(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping) or "docker" not in data:
            return data
        rest = dict(data)
        docker = rest.pop("docker")
        if not isinstance(docker, Mapping) or set(docker) != {"image"} or "image" in rest:
            raise problem("BadValue", "docker: only the old form {image: ...} is understood; write image: instead")
        warn(info, "environment.docker.image is an old form; write environment.image")
        return {**rest, "image": docker["image"]}

    @model_validator(mode="after")
    def _something(self) -> Environment:
        if self.image and self.build:
            raise problem("BadValue", "give image or build, not both")
        if self.build and (self.conda_file or self.pip_requirements):
            raise problem(
                "BadValue", "a built image brings its packages itself: remove conda_file and pip_requirements"
            )
        if not (self.image or self.build or self.conda_file or self.pip_requirements):
            raise problem("MissingField", "an environment needs image, build, conda_file or pip_requirements")
        if self.os_type == "windows":
            raise problem("NotSupported", "os_type windows is not supported; Ferry runs linux")
        return self


EnvironmentOrRef = Annotated[Annotated[Environment, IS_MAPPING] | Annotated[AssetText, IS_TEXT], BY_SHAPE]
"""An environment inline, or a reference such as azureml:NAME:VERSION."""
