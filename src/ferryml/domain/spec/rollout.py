"""The rollout: how an endpoint goes from what it serves to something new, and back if need be."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.spec.values import (
    Count,
    Duration,
    EndpointName,
    Fold,
    NoneIsEmpty,
    OneOrMany,
    Share,
    Text,
    TextMap,
    named,
)

Percent = Annotated[int, Field(ge=1, le=100)]


class Mirror(Spec):
    """Copies of requests go to the new revision first; its answers are compared and thrown away."""

    percent: Percent = Field(20, description="Share of requests copied, 1 to 100.")
    min_requests: Count = Field(100, description="Copies to see before going on.")
    max_mismatch_rate: Share | None = Field(
        None, description="Share of differing answers that stops it; none: only noted."
    )
    timeout: Duration = Field(3600.0, description="Seconds to wait for the copies.")


class PerStep(Spec):
    """What each step must see before the next."""

    min_duration: Duration = Field(0.0, description="Seconds at least.")
    min_requests: Count = Field(0, description="Requests to the new revision at least.")
    timeout: Duration = Field(3600.0, description="Seconds after which on_timeout decides.")
    on_timeout: Annotated[Literal["hold", "rollback", "proceed"], Fold()] = Field(
        "hold", description="When too few came."
    )


class RollbackIf(Spec):
    """What undoes it; each is measured on the new revision, ratios against the old at the same time."""

    max_error_rate: Share | None = Field(None, description="Share of failed requests; none: not looked at.")
    max_p99_ratio: Annotated[float, Field(gt=0)] | None = Field(
        None, description="p99 latency over the old one's; none: not."
    )
    max_p99_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="p99 latency in milliseconds; none: not."
    )
    min_requests: Count = Field(20, description="Requests before rates are believed.")


def _not_text(value: Any) -> Any:
    if isinstance(value, str):
        raise problem("BadReference", "give the deployment inline, or a file: a deployment cannot be referred to")
    return value


DeploymentForm = Annotated[OnlineDeployment, BeforeValidator(_not_text, json_schema_input_type=OnlineDeployment | str)]


class RolloutPlan(Spec):
    """How the new revision takes over."""

    deployment: DeploymentForm = Field(
        description="The new revision, inline or from a file; its model may be substituted."
    )
    endpoints: Annotated[tuple[EndpointName, ...], OneOrMany] = Field((), description="Endpoints, in order.")
    order: Annotated[Literal["sequential", "parallel"], Fold()] = Field(
        "sequential", description="One endpoint after another?"
    )
    mirror: Mirror | None = Field(None, description="Copy requests first; none: begin with the first step.")
    steps: Annotated[tuple[Percent, ...], OneOrMany] = Field(
        (100,), description="Rising percents of traffic, ending in 100."
    )
    per_step: Annotated[PerStep, NoneIsEmpty] = Field(PerStep(), description="What each step must see.")
    rollback_if: Annotated[RollbackIf, NoneIsEmpty] = Field(
        RollbackIf(), description="What undoes it; empty: only failure to start."
    )
    keep_previous: Duration = Field(86400.0, description="Seconds the old revision stays ready after the last step.")
    on_failure: Annotated[Literal["rollback_all", "rollback_failed", "hold"], Fold()] = Field(
        "rollback_all", description="When one of several endpoints rolls back."
    )
    on_offline: Annotated[Literal["wait", "skip", "fail"], Fold()] = Field(
        "wait", description="When a site is not there."
    )

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not steps or steps[-1] != 100 or any(a >= b for a, b in pairwise(steps)):
            raise problem("BadValue", f"steps must rise and end in 100, not {list(steps)}")
        return steps

    @model_validator(mode="before")
    @classmethod
    def _one_endpoint(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "endpoint" not in data or "endpoints" in data:
            return data
        return {"endpoints" if key == "endpoint" else key: value for key, value in data.items()}

    @model_validator(mode="after")
    def _endpoints_named(self) -> RolloutPlan:
        if len(set(self.endpoints)) < len(self.endpoints):
            raise problem("BadValue", "endpoints names one endpoint twice")
        if not self.endpoints and not self.deployment.endpoint_name:
            raise problem("MissingField", "endpoints is missing, and the deployment names no endpoint_name")
        return self

    @property
    def endpoint_names(self) -> tuple[str, ...]:
        """The endpoints, or the one that the deployment itself names."""
        own = self.deployment.endpoint_name
        return self.endpoints or ((own,) if own else ())


class Rollout(RolloutPlan):
    """A rollout by itself, as made from CI or by hand."""

    read_only: ClassVar[frozenset[str]] = frozenset({"phase", "evidence"})

    name: Annotated[Text, named("rollout")] | None = Field(None, description="Unique in the workspace; none: made.")
    type: Annotated[Literal["rollout"], Fold()] = Field("rollout", description="The kind of document.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
