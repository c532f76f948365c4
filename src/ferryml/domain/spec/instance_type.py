"""Instance types: what a pod of a job or deployment asks for, and on which nodes; written by IT as custom resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ferryml.domain.quantities import amount
from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.values import named

DEFAULT_TYPE = "defaultinstancetype"
"""Always exists, so that nobody has to name an instance type."""

LIMITS_ONLY = "/"
"""Resources with a domain (GPUs and the like) cannot be overcommitted: request and limit are one number."""


def _quantity(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise problem("BadValue", f"{value!r} is no quantity; write 500m, 2, 1500Mi or 4Gi")
    try:
        found = amount(value)
    except ValueError as error:
        raise problem("BadValue", f"{value!r} is no quantity; write 500m, 2, 1500Mi or 4Gi") from error
    if found < 0:
        raise problem("BadValue", f"{value!r} is negative")
    return str(value).strip()


def _given(value: Any) -> Any:
    """A resource that is null, such as `nvidia.com/gpu: null`, is none."""
    if not isinstance(value, Mapping):
        return {} if value is None else value
    return {key: item for key, item in value.items() if item is not None}


def _with_machine(value: dict[str, str]) -> dict[str, str]:
    for key in ("cpu", "memory"):
        if key not in value:
            raise problem("MissingField", f"{key} is missing")
        if amount(value[key]) <= 0:
            raise problem("BadValue", f"{key} must be more than 0")
    return value


Quantity = Annotated[str, BeforeValidator(_quantity, json_schema_input_type=str | int | float)]
Quantities = Annotated[dict[str, Quantity], BeforeValidator(_given), AfterValidator(_with_machine)]


class TypeResources(Spec):
    """Requests and limits of the main container; both need cpu and memory."""

    requests: Quantities = Field(description="What the scheduler sets aside: cpu, memory.")
    limits: Quantities = Field(description="What it may use at most: cpu, memory, nvidia.com/gpu and the like.")

    @model_validator(mode="after")
    def _agree(self) -> TypeResources:
        for key, value in self.requests.items():
            limit = self.limits.get(key)
            if LIMITS_ONLY in key and (limit is None or amount(limit) != amount(value)):
                raise problem("BadValue", f"{key} must be the same in requests and limits")
            if limit is not None and amount(value) > amount(limit):
                raise problem("BadValue", f"requests.{key} {value} is more than limits.{key} {limit}")
        for key, value in self.limits.items():
            if LIMITS_ONLY in key and amount(value) != int(amount(value)):
                raise problem("BadValue", f"limits.{key} must be a whole number, not {value}")
        return self


class InstanceTypeSpec(Spec):
    """The `spec` of an InstanceType resource; fields are Kubernetes' own."""

    node_selector: Annotated[dict[str, str], BeforeValidator(_given)] = Field(
        {}, alias="nodeSelector", description="Labels of the nodes it runs on; empty: any node."
    )
    resources: TypeResources = Field(description="Requests and limits of the main container.")
    tolerations: tuple[dict[str, Any], ...] = Field((), description="Taints it may run on, besides Ferry's own.")
    affinity: Annotated[dict[str, Any], BeforeValidator(_given)] = Field({}, description="As in a pod; empty: none.")
    runtime_class_name: str = Field("", alias="runtimeClassName", description="RuntimeClass; empty: the default.")
    priority_class_name: str = Field("", alias="priorityClassName", description="PriorityClass; empty: the cluster's.")
    description: str = Field("", description="For people who choose among types.")

    def manifest(self) -> dict[str, Any]:
        """As it stands in a custom resource, without what is empty."""
        return {key: value for key, value in self.model_dump(mode="json", by_alias=True).items() if value}


class InstanceType(BaseModel):
    """A type by name. `origin`: ferry, amlarc (the alias group) or built-in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, named("instance type")]
    spec: InstanceTypeSpec
    origin: Literal["ferry", "amlarc", "built-in"] = "ferry"

    @property
    def requests(self) -> dict[str, str]:
        """What the scheduler sets aside, GPUs and the like taken from the limits."""
        extended = {key: value for key, value in self.spec.resources.limits.items() if LIMITS_ONLY in key}
        return {key: value for key, value in {**extended, **self.spec.resources.requests}.items() if amount(value)}

    @property
    def limits(self) -> dict[str, str]:
        return {key: value for key, value in self.spec.resources.limits.items() if amount(value)}


class _Meta(Spec):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, named("instance type")] = Field(description="Unique in the cluster.")


class InstanceTypeItem(Spec):
    """One entry of a list, or a whole document: kind and apiVersion may be missing in a list."""

    read_only: ClassVar[frozenset[str]] = frozenset({"status"})

    api_version: Literal["ferryml.dev/v1alpha1", "amlarc.azureml.com/v1alpha1", ""] = Field(
        "", alias="apiVersion", description="Ferry's group, or the one that files of elsewhere name."
    )
    kind: Literal["InstanceType", ""] = Field("", description="InstanceType; may be missing in a list.")
    metadata: _Meta = Field(description="As of every Kubernetes object; only the name counts.")
    spec: InstanceTypeSpec = Field(description="What it asks for.")


BUILT_IN = InstanceType(
    name=DEFAULT_TYPE,
    spec=InstanceTypeSpec(
        resources=TypeResources(requests={"cpu": "100m", "memory": "2Gi"}, limits={"cpu": "2", "memory": "2Gi"}),
        description="Small on purpose; make one of this name to change it.",
    ),
    origin="built-in",
)
"""A resource of its name takes its place."""
