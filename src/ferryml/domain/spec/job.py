"""The command job: what people submit to be run once, somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, Tag, ValidationInfo, field_validator, model_validator

from ferryml.domain.spec.common import Spec, problem, warn
from ferryml.domain.spec.environment import EnvironmentOrRef
from ferryml.domain.spec.io import InputOrLiteral, OutputForm
from ferryml.domain.spec.values import (
    ComputeName,
    Count,
    Fold,
    JobName,
    KeyName,
    NoneIsEmpty,
    OneOrMany,
    PathOrUri,
    Positive,
    Text,
    TextMap,
    VariableName,
    seconds,
    type_of,
)


class PyTorch(Spec):
    """torchrun-style: MASTER_ADDR, WORLD_SIZE, RANK for each process."""

    type: Annotated[Literal["pytorch"], Fold()] = Field("pytorch", description="The kind of distribution.")
    process_count_per_instance: Positive = Field(1, description="Processes on each instance.")


class Mpi(Spec):
    """mpirun over all instances."""

    type: Annotated[Literal["mpi"], Fold()] = Field("mpi", description="The kind of distribution.")
    process_count_per_instance: Positive = Field(1, description="Processes on each instance.")


class TensorFlow(Spec):
    """TF_CONFIG with workers and parameter servers."""

    type: Annotated[Literal["tensorflow"], Fold()] = Field("tensorflow", description="The kind of distribution.")
    worker_count: Positive | None = Field(None, description="Workers; none: resources.instance_count.")
    parameter_server_count: Count = Field(0, description="Parameter servers.")


class Ray(Spec):
    """A Ray cluster with its head on the first instance."""

    type: Annotated[Literal["ray"], Fold()] = Field("ray", description="The kind of distribution.")
    port: Positive | None = Field(None, description="TCP port of the head; none: Ray's default.")
    address: str = Field("", description="Address of an existing head; empty: one is started.")
    dashboard_port: Positive | None = Field(None, description="TCP port of the dashboard; none: Ray's default.")
    include_dashboard: bool = Field(False, description="Start the dashboard.")
    head_node_additional_args: str = Field("", description="Passed to ray start on the head.")
    worker_node_additional_args: str = Field("", description="Passed to ray start on workers.")


Distribution = Annotated[
    Annotated[PyTorch, Tag("~PyTorch")]
    | Annotated[Mpi, Tag("~Mpi")]
    | Annotated[TensorFlow, Tag("~TensorFlow")]
    | Annotated[Ray, Tag("~Ray")],
    type_of(PyTorch, Mpi, TensorFlow, Ray),
]


class Resources(Spec):
    """How much a job asks for."""

    instance_count: Positive = Field(1, description="Instances (pods), started together.")
    instance_type: str | None = Field(None, description="Instance type of the compute; none: its default type.")
    shm_size: Annotated[str, Field(pattern=r"^[0-9]+[bkmgBKMG]?$")] = Field(
        "2g", description="Shared memory, <n>b|k|m|g."
    )
    max_instance_count: Positive | None = Field(None, description="Elastic upper bound; none: instance_count.")
    docker_args: Annotated[tuple[Text, ...], OneOrMany] = Field((), description="Accepted with a warning; not used.")
    locations: Annotated[tuple[str, ...], OneOrMany] = Field((), description="Accepted with a warning; not used.")
    properties: Annotated[dict[str, Any], NoneIsEmpty] = Field({}, description="Passed through to the engine.")

    @model_validator(mode="after")
    def _unused(self, info: ValidationInfo) -> Resources:
        for key in ("docker_args", "locations"):
            if getattr(self, key):
                warn(info, f"resources.{key} has no effect here")
        return self


class JobLimits(Spec):
    """What ends a job that runs too long."""

    timeout: (
        Annotated[int, BeforeValidator(seconds, json_schema_input_type=int | str), Field(ge=1, le=2592000)] | None
    ) = Field(None, description="Seconds of running (not waiting) before it is cancelled; none: no limit.")


class QueueSettings(Spec):
    """Its place in the queue."""

    job_tier: Annotated[Literal["null", "spot", "basic", "standard", "premium"], Fold()] | None = Field(
        None, description="Accepted with a warning; not used."
    )
    priority: Annotated[Literal["low", "medium", "high"], Fold()] = Field(
        "medium", description="Order among waiting jobs."
    )
    queue: str = Field("", description="Kueue LocalQueue of the compute's namespace; empty: the site's.")
    priority_class: str = Field("", description="PriorityClass or Kueue WorkloadPriorityClass; empty: the site's.")

    @model_validator(mode="after")
    def _unused(self, info: ValidationInfo) -> QueueSettings:
        if self.job_tier not in (None, "null"):
            warn(info, "queue_settings.job_tier has no effect here; use priority")
        return self


class JobService(Spec):
    """A door into a running job, for its owner only."""

    type: Annotated[Literal["ssh", "tensor_board", "vs_code", "jupyter_lab"], Fold()] = Field(
        description="Which program."
    )
    nodes: Text | None = Field(None, description="`all`, or the index of an instance; none: the first.")
    port: Positive | None = Field(None, description="TCP port; none: chosen.")
    properties: TextMap = Field({}, description="For the program.")
    log_dir: str = Field("", description="Folder tensor_board reads; empty: outputs.")
    ssh_public_keys: str = Field("", description="Keys that ssh lets in; empty: none.")


class JobIdentity(Spec):
    """As whom the job reaches data."""

    type: Annotated[Literal["managed", "managed_identity", "aml_token", "user_identity"], Fold()] = Field(
        description="The compute's identity, the job's token, or (with a warning) the user's."
    )
    client_id: str = Field("", description="Which managed identity; empty: the compute's.")
    object_id: str = Field("", description="Which managed identity; empty: the compute's.")
    resource_id: str = Field("", description="Which managed identity; empty: the compute's.")

    @model_validator(mode="after")
    def _unused(self, info: ValidationInfo) -> JobIdentity:
        if self.type == "user_identity":
            warn(info, "identity user_identity has no effect here; the job's own token is used")
        return self


class CommandJob(Spec):
    """One command, run to its end on one or more instances."""

    read_only: ClassVar[frozenset[str]] = frozenset({"parent_job_name", "component", "log_files", "creation_context"})

    type: Annotated[Literal["command"], Fold()] = Field("command", description="The kind of job.")
    name: JobName | None = Field(None, description="Unique in the workspace; none: adjective_noun_xxxxxxxxxx is made.")
    display_name: str = Field("", description="For people; empty: the name.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    experiment_name: str = Field("", description="Groups runs; empty: Default.", max_length=255)
    command: Annotated[str, Field(min_length=1)] = Field(description="Run by one bash, in the folder of the code.")
    code: PathOrUri | None = Field(None, description="Folder, git address or code asset; none: an empty folder.")
    environment: EnvironmentOrRef = Field(description="Reference, environment file or inline environment.")
    environment_variables: Annotated[dict[VariableName, Text], NoneIsEmpty] = Field({}, description="For the command.")
    distribution: Distribution | None = Field(None, description="How instances work together; none: each by itself.")
    compute: ComputeName | None = Field(None, description="Compute's name; none: the workspace's default compute.")
    resources: Annotated[Resources, NoneIsEmpty] = Field(Resources(), description="How much it asks for.")
    limits: Annotated[JobLimits, NoneIsEmpty] = Field(JobLimits(), description="What ends it early.")
    queue_settings: Annotated[QueueSettings, NoneIsEmpty] = Field(
        QueueSettings(), description="Its place in the queue."
    )
    inputs: Annotated[dict[KeyName, InputOrLiteral], NoneIsEmpty] = Field({}, description="Read as ${{inputs.NAME}}.")
    outputs: Annotated[dict[KeyName, OutputForm], NoneIsEmpty] = Field({}, description="Written at ${{outputs.NAME}}.")
    services: Annotated[dict[str, JobService], NoneIsEmpty] = Field(
        {}, description="Accepted with a warning; not used yet."
    )
    identity: JobIdentity | None = Field(None, description="As whom it reaches data; none: the job's token.")

    @model_validator(mode="before")
    @classmethod
    def _old_forms(cls, data: Any, info: ValidationInfo) -> Any:
        return _from_old_forms(data, info) if isinstance(data, Mapping) else data

    @field_validator("command")
    @classmethod
    def _not_blank(cls, command: str) -> str:
        if not command.strip() or "\0" in command:
            raise problem("MissingField", "command is empty")
        return command

    @model_validator(mode="after")
    def _unused(self, info: ValidationInfo) -> CommandJob:
        if self.services:
            warn(info, "services has no effect here; running jobs have no doors yet")
        return self

    @model_validator(mode="after")
    def _counts_agree(self) -> CommandJob:
        spread = self.distribution
        if isinstance(spread, TensorFlow) and spread.worker_count:
            pods = spread.worker_count + spread.parameter_server_count
            if pods != self.resources.instance_count:
                raise problem(
                    "BadValue",
                    f"worker_count + parameter_server_count is {pods}, resources.instance_count is "
                    f"{self.resources.instance_count}; they must be equal",
                )
        return self


def _from_old_forms(data: Mapping[str, Any], info: ValidationInfo) -> dict[str, Any]:
    new = dict(data)
    code, compute = new.get("code"), new.get("compute")
    if isinstance(code, Mapping) and set(code) == {"local_path"}:
        warn(info, "code.local_path is an old form; write code: PATH")
        new["code"] = code["local_path"]
    if isinstance(compute, Mapping):
        unknown = set(compute) - {"target", "instance_type", "instance_count"}
        if unknown:
            raise problem("UnknownField", f"unknown key {sorted(unknown)[0]!r} in compute: write compute: NAME")
        warn(info, "compute as a mapping is an old form; write compute: NAME and resources:")
        new["compute"] = compute.get("target")
        moved = {key: compute[key] for key in ("instance_type", "instance_count") if key in compute}
        new["resources"] = {**moved, **(new.get("resources") or {})}
    return new
