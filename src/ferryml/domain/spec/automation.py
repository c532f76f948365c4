"""The automation: when something changes, train, prove, and roll out, or leave things as they are."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, Tag, field_validator, model_validator

from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.io import InputOrLiteral
from ferryml.domain.spec.job import CommandJob
from ferryml.domain.spec.rollout import RolloutPlan
from ferryml.domain.spec.values import (
    BY_SHAPE,
    IS_MAPPING,
    IS_TEXT,
    AssetName,
    AssetText,
    ComputeName,
    Count,
    Duration,
    EndpointName,
    Flag,
    Fold,
    KeyName,
    NoneIsEmpty,
    OneOrMany,
    Text,
    TextMap,
    named,
    type_of,
)

_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_NAMES = {
    3: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_CRON_PART = re.compile(r"(\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/([0-9]+))?")


class CronTrigger(Spec):
    """By the clock."""

    type: Annotated[Literal["cron"], Fold()] = Field("cron", description="The kind of trigger.")
    expression: str = Field(description="minute hour day-of-month month day-of-week.")
    time_zone: str = Field("UTC", description="IANA or Windows name.")

    @field_validator("expression")
    @classmethod
    def _five_fields(cls, expression: str) -> str:
        fields = expression.lower().split()
        if len(fields) != 5 or not all(_cron_field(text, at) for at, text in enumerate(fields)):
            raise problem("BadValue", f"{expression!r} is not a cron expression: minute hour day month weekday")
        return expression


class DataTrigger(Spec):
    """When a data asset has a new version."""

    type: Annotated[Literal["data"], Fold()] = Field("data", description="The kind of trigger.")
    asset: AssetText = Field(description="Data asset, such as azureml:digits.")
    debounce: Duration = Field(0.0, description="Seconds without a further version before it fires.")


class MonitorTrigger(Spec):
    """When a monitor raises an alert."""

    type: Annotated[Literal["monitor"], Fold()] = Field("monitor", description="The kind of trigger.")
    monitor: Text = Field(description="Name of the monitor.")


class MetricTrigger(Spec):
    """When a live metric of an endpoint crosses a line; labels come by `online-endpoint feedback`."""

    type: Annotated[Literal["metric"], Fold()] = Field("metric", description="The kind of trigger.")
    endpoint: EndpointName = Field(description="Which endpoint.")
    metric: str = Field("accuracy", description="Which metric.")
    below: float | None = Field(None, description="Fires when lower; none: give above.")
    above: float | None = Field(None, description="Fires when higher; none: give below.")
    min_labels: Annotated[int, Field(ge=1)] = Field(100, description="Labels before the metric is believed.")

    @model_validator(mode="after")
    def _one_line(self) -> MetricTrigger:
        if (self.below is None) == (self.above is None):
            raise problem("MissingField", "a metric trigger needs either below or above")
        return self


class ModelTrigger(Spec):
    """When a model has a new version, made elsewhere; nothing is trained."""

    type: Annotated[Literal["model"], Fold()] = Field("model", description="The kind of trigger.")
    asset: AssetText = Field(description="Model asset, such as azureml:digits-model.")


class ManualTrigger(Spec):
    """When someone says so; always possible, even if not listed."""

    type: Annotated[Literal["manual"], Fold()] = Field("manual", description="The kind of trigger.")


Trigger = Annotated[
    Annotated[CronTrigger, Tag("~CronTrigger")]
    | Annotated[DataTrigger, Tag("~DataTrigger")]
    | Annotated[MonitorTrigger, Tag("~MonitorTrigger")]
    | Annotated[MetricTrigger, Tag("~MetricTrigger")]
    | Annotated[ModelTrigger, Tag("~ModelTrigger")]
    | Annotated[ManualTrigger, Tag("~ManualTrigger")],
    type_of(CronTrigger, DataTrigger, MonitorTrigger, MetricTrigger, ModelTrigger, ManualTrigger),
]

JobForm = Annotated[Annotated[CommandJob, IS_MAPPING] | Annotated[AssetText, IS_TEXT], BY_SHAPE]


class JobStep(Spec):
    """A job and what is different in it each time."""

    job: JobForm = Field(description="A job from a file or inline, or azureml:NAME of a job to repeat.")
    compute: ComputeName | None = Field(None, description="Instead of the job's compute; none: the job's.")
    experiment_name: str = Field("", description="Instead of the job's; empty: the job's.")
    inputs: Annotated[dict[KeyName, InputOrLiteral], NoneIsEmpty] = Field(
        {}, description="Instead of the job's inputs; ${{trigger.data}} is the pinned version that fired."
    )


class Candidate(Spec):
    """What the training job makes that may replace the champion."""

    output: KeyName = Field("model", description="Output of create_job.")
    name: AssetName = Field(description="Model asset that the candidate is registered as.")


class Gate(Spec):
    """When a candidate is better than the champion; both measured by one job on the same data."""

    primary_metric: str = Field(
        description="Metric logged by the evaluation, for candidate and champion.", min_length=1
    )
    goal: Annotated[Literal["maximize", "minimize"], Fold()] = Field("maximize", description="Which way is better.")
    min_improvement: float = Field(0.0, description="How much better than the champion, in the metric's own unit.")
    min_value: float | None = Field(
        None, description="The metric must also reach this (maximize: at least); none: no bar."
    )
    no_champion: Annotated[Literal["accept", "reject"], Fold()] = Field(
        "accept", description="When nothing serves yet."
    )


class Notify(Spec):
    """Who hears of what."""

    webhook: str = Field(description="Name of a webhook of the workspace; see `ferry webhook`.")
    on: Annotated[
        tuple[
            Annotated[
                Literal[
                    "triggered", "trained", "evaluated", "gated", "awaiting_approval", "registered", "rolling_out",
                    "promoted", "rejected", "rolled_back", "failed",
                ],
                Fold(),
            ],
            ...,
        ],
        OneOrMany,
    ] = Field((), description="Which events of a run; empty: all.")  # fmt: skip


def _approval(value: Any) -> Any:
    return "none" if value is None or value is False else "required" if value is True else value


class Automation(Spec):
    """The closed loop of one model."""

    read_only: ClassVar[frozenset[str]] = frozenset({"phase", "last_run", "next_run"})

    name: Annotated[Text, named("automation")] = Field(description="Unique in the workspace.")
    type: Annotated[Literal["automation"], Fold()] = Field("automation", description="The kind of document.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    enabled: Flag = Field(True, description="Whether triggers fire.")
    run_as: Text | None = Field(None, description="Account whose rights the jobs have; none: its maker's.")
    triggers: Annotated[tuple[Trigger, ...], OneOrMany] = Field((), description="What starts it; empty: only by hand.")
    create_job: JobStep | None = Field(
        None, description="Trains a candidate; none: candidates come by a model trigger."
    )
    candidate: Candidate | None = Field(
        None, description="Which output is the candidate; none: the model trigger's asset."
    )
    evaluate: JobStep | None = Field(
        None, description="Measures candidate and champion; none: the training job's metrics."
    )
    gate: Gate | None = Field(None, description="When the candidate wins; none: always.")
    approval: Annotated[
        Literal["none", "required"],
        Fold(),
        BeforeValidator(_approval, json_schema_input_type=Literal["none", "required"] | bool | None),
    ] = Field("none", description="Whether a person must agree before the rollout.")
    rollout: RolloutPlan | None = Field(None, description="Where the winner goes; none: it is only registered.")
    keep_runs: Count = Field(100, description="How many runs of history are listed.")
    notify: Annotated[tuple[Notify, ...], OneOrMany] = Field((), description="Who hears of it; empty: nobody.")

    @model_validator(mode="after")
    def _has_a_source(self) -> Automation:
        from_models = any(isinstance(trigger, ModelTrigger) for trigger in self.triggers)
        if self.create_job is None and not from_models:
            raise problem("MissingField", "an automation needs create_job, or a trigger of type model")
        if self.create_job is not None and self.candidate is None:
            raise problem("MissingField", "candidate is missing: which output of create_job is the new model?")
        job, candidate = self.create_job and self.create_job.job, self.candidate
        if isinstance(job, CommandJob) and candidate and candidate.output not in job.outputs:
            have = ", ".join(job.outputs) or "none"
            raise problem(
                "BadReference", f"candidate.output {candidate.output!r} is no output of the job; it has: {have}"
            )
        return self


def _cron_field(text: str, at: int) -> bool:
    return all(_cron_part(part, at) for part in text.split(","))


def _cron_part(part: str, at: int) -> bool:
    found = _CRON_PART.fullmatch(part)
    if not found or found[2] == "0" * len(found[2] or " "):
        return False
    if found[1] == "*":
        return True
    low, high = _CRON_RANGES[at]
    ends = [_cron_number(word, at) for word in found[1].split("-")]
    return all(end is not None and low <= end <= high for end in ends)


def _cron_number(word: str, at: int) -> int | None:
    if word.isdigit():
        return int(word)
    names = _CRON_NAMES.get(at, [])
    return names.index(word) + (1 if at == 3 else 0) if word in names else None
