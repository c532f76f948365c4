"""The online deployment: one model with its code and environment, in some number of instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, Tag, ValidationInfo, field_validator, model_validator

from ferryml.domain.errors import Refused
from ferryml.domain.names import ENDPOINT_AND_DEPLOYMENT
from ferryml.domain.spec.common import Spec, problem, warn
from ferryml.domain.spec.environment import EnvironmentOrRef
from ferryml.domain.spec.model import Model, ModelOrRef
from ferryml.domain.spec.values import (
    AssetName,
    Count,
    DeploymentName,
    EndpointName,
    Flag,
    Fold,
    NoneIsEmpty,
    PathOrUri,
    Positive,
    Share,
    Text,
    TextMap,
    VariableName,
    Version,
    type_of,
)


class CodeConfiguration(Spec):
    """The scoring script and the folder it is in."""

    code: PathOrUri = Field(description="Local folder or code asset.")
    scoring_script: str = Field(description="File inside the folder with init() and run().", min_length=1)

    @field_validator("scoring_script")
    @classmethod
    def _inside(cls, script: str) -> str:
        if script.startswith("/") or ".." in script.split("/"):
            raise problem("PathEscapes", f"scoring_script {script!r} must be inside the code folder")
        return script

    @model_validator(mode="before")
    @classmethod
    def _old_forms(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("code"), Mapping) and set(data["code"]) == {"local_path"}:
            return {**data, "code": data["code"]["local_path"]}
        return data


class DefaultScale(Spec):
    """A fixed number of instances: instance_count."""

    type: Annotated[Literal["default"], Fold()] = Field("default", description="The kind of scaling.")


class TargetUtilization(Spec):
    """As many instances as the requests need."""

    type: Annotated[Literal["target_utilization"], Fold()] = Field(
        "target_utilization", description="The kind of scaling."
    )
    min_instances: Positive = Field(1, description="Never fewer.")
    max_instances: Positive = Field(1, description="Never more.")
    target_utilization_percentage: Annotated[int, Field(ge=1, le=100)] = Field(
        70, description="Busy share to aim at: (busy + queued) / capacity."
    )
    polling_interval: Positive = Field(1, description="Seconds between looks.")

    @model_validator(mode="after")
    def _ordered(self) -> TargetUtilization:
        if self.min_instances > self.max_instances:
            raise problem(
                "BadArgument", f"min_instances {self.min_instances} is more than max_instances {self.max_instances}"
            )
        return self


ScaleSettings = Annotated[
    Annotated[DefaultScale, Tag("~DefaultScale")] | Annotated[TargetUtilization, Tag("~TargetUtilization")],
    type_of(DefaultScale, TargetUtilization, default="target_utilization"),
]


class RequestSettings(Spec):
    """How requests are let in, and how long they may take."""

    request_timeout_ms: Annotated[int, Field(ge=1, le=300000)] = Field(5000, description="Milliseconds before 504.")
    max_concurrent_requests_per_instance: Positive = Field(1, description="Requests at the same time.")
    max_queue_wait_ms: Count = Field(500, description="Milliseconds a request may wait for an instance before 503.")


class Probe(Spec):
    """How a container is asked whether it is well; all times in seconds."""

    period: Positive = Field(10, description="Seconds between two questions.")
    initial_delay: Positive = Field(10, description="Seconds before the first.")
    timeout: Positive = Field(2, description="Seconds to wait for the answer.")
    success_threshold: Positive = Field(1, description="Good answers in a row that make it well.")
    failure_threshold: Positive = Field(30, description="Bad answers in a row that make it ill.")


class ContainerResources(Spec):
    """What each instance asks for and may use; Kubernetes quantities."""

    requests: TextMap = Field({}, description="cpu, memory, nvidia.com/gpu; both cpu and memory are needed.")
    limits: TextMap = Field({}, description="Like requests; empty: the instance type's.")

    @model_validator(mode="after")
    def _complete(self) -> ContainerResources:
        if missing := [key for key in ("cpu", "memory") if key not in self.requests]:
            raise problem("BadArgument", f"resources.requests lacks {' and '.join(missing)}")
        return self


class CollectedData(Spec):
    """Where a collection is kept."""

    name: AssetName | None = Field(None, description="Data asset; none: ENDPOINT-DEPLOYMENT-COLLECTION.")
    path: str | None = Field(None, description="Datastore path for its records alone; none: the workspace's store.")
    version: Version | None = Field(None, description="First version of the asset, later ones are counted; none: 1.")


class Collection(Spec):
    """One stream of records."""

    enabled: Flag = Field(False, description="Whether it is recorded.")
    data: CollectedData | None = Field(None, description="Where it is kept; none: the default place.")
    client_id: str = Field("", description="Identity used to write; empty: the endpoint's.")
    sampling_rate: Share | None = Field(
        None, description="Share of the records of a collection that the script makes; none: data_collector's."
    )


class RequestLogging(Spec):
    """What of a request is kept beside its payload."""

    capture_headers: tuple[str, ...] = Field((), description="Header names; empty: none.")


class DataCollector(Spec):
    """Records of requests, answers and what the script collects."""

    sampling_rate: Share = Field(1.0, description="Share of requests, 0 to 1.")
    rolling_rate: Annotated[Literal["minute", "hour", "day", "month", "year"], Fold()] = Field(
        "hour", description="One file for each."
    )
    collections: Annotated[dict[str, Annotated[Collection, NoneIsEmpty]], NoneIsEmpty] = Field(
        {}, description="Name -> settings; request and response are built in, others the scoring script makes."
    )
    request_logging: RequestLogging | None = Field(None, description="Headers to keep; none: none.")


class OnlineDeployment(Spec):
    """A revision of a model behind an endpoint."""

    read_only: ClassVar[frozenset[str]] = frozenset(
        {"kind", "egress_public_network_access", "private_network_connection"}
    )

    type: Annotated[Literal["kubernetes", "local"], Fold()] = Field(
        "kubernetes", description="The endpoint's compute decides."
    )
    name: DeploymentName = Field(description="Unique in the endpoint.")
    endpoint_name: EndpointName | None = Field(None, description="Its endpoint; none: the command or rollout names it.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    model: ModelOrRef | None = Field(
        None, description="Reference or inline model; none: a container that brings its own."
    )
    model_mount_path: str = Field("", description="Where the model appears; empty: /var/azureml-app/azureml-models.")
    code_configuration: CodeConfiguration | None = Field(
        None, description="Scoring script; none: MLflow, Triton or container."
    )
    environment: EnvironmentOrRef | None = Field(None, description="Reference or inline; none: from the MLflow model.")
    command: str = Field("", description="Starts a custom container's server; empty: the image's own entry point.")
    environment_variables: Annotated[dict[VariableName, Text], NoneIsEmpty] = Field(
        {}, description="For the container."
    )
    instance_type: str | None = Field(None, description="Instance type of the compute; none: its default type.")
    instance_count: Positive = Field(1, description="Instances, when scale_settings do not say otherwise.")
    app_insights_enabled: Flag = Field(False, description="Send request traces to the workspace's tracing.")
    scale_settings: ScaleSettings | None = Field(None, description="How it scales; none: instance_count, fixed.")
    request_settings: Annotated[RequestSettings, NoneIsEmpty] = Field(
        RequestSettings(), description="Limits of a request."
    )
    liveness_probe: Annotated[Probe, NoneIsEmpty] = Field(Probe(), description="Restarts the container when ill.")
    readiness_probe: Annotated[Probe, NoneIsEmpty] = Field(Probe(), description="Sends requests only when well.")
    resources: ContainerResources | None = Field(None, description="Per instance; none: the instance type's.")
    data_collector: DataCollector | None = Field(None, description="Records requests and answers; none: nothing.")

    @model_validator(mode="before")
    @classmethod
    def _type(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping):
            return data
        said = data.get("type")
        if isinstance(said, str) and said.lower() == "managed":
            warn(info, "type managed is taken as kubernetes: the endpoint's compute decides")
        elif said is not None:
            return data
        else:
            warn(info, "type is missing and taken as kubernetes; write type: kubernetes")
        return {**data, "type": "kubernetes"}

    @field_validator("model_mount_path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if path and (not path.startswith("/") or ".." in path.split("/")):
            raise problem("BadValue", "model_mount_path must be an absolute path without '..'")
        return path

    @model_validator(mode="after")
    def _together(self, info: ValidationInfo) -> OnlineDeployment:
        least, most = ENDPOINT_AND_DEPLOYMENT
        if self.endpoint_name and not least <= len(self.endpoint_name) + len(self.name) <= most:
            raise problem("BadName", f"endpoint and deployment names must be {least} to {most} characters together")
        return self


def check_complete(deployment: OnlineDeployment) -> None:
    """Refuse a deployment that has nothing to serve; not for one whose model an automation puts in.

    Raises:
        Refused: `MissingField`.
    """
    model = deployment.model
    has_script = deployment.code_configuration is not None
    if model is None and deployment.environment is None:
        raise Refused("MissingField", "the deployment has no model and no environment", "Give one of them, or both.")
    if has_script and deployment.environment is None and isinstance(model, Model) and model.type == "custom_model":
        raise Refused("MissingField", "a deployment with a scoring script needs an environment", "Add environment:.")
