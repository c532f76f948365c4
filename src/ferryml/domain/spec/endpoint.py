"""The online endpoint: one address, one set of keys, several deployments behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from ferryml.domain.spec.common import Spec, problem, warn
from ferryml.domain.spec.compute import Identity
from ferryml.domain.spec.values import DeploymentName, EndpointName, Fold, NoneIsEmpty, TextMap, compute_name

MAX_COMPUTES = 20


def _computes(value: Any) -> Any:
    """One compute is its name, several are a tuple; each may be written as everywhere."""
    if isinstance(value, str) and value.strip().startswith("["):
        # as --set gives it, where quotes would be in the way
        value = value.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    if not isinstance(value, Sequence) or isinstance(value, str):
        return compute_name(value)
    names = tuple(compute_name(one) for one in value)
    if not all(isinstance(name, str) and name for name in names):
        raise problem("BadValue", "compute names a compute, or lists several: compute: [azureml:a, azureml:b]")
    if not names or len(names) > MAX_COMPUTES:
        raise problem("BadValue", f"compute lists {len(names)} computes; it may be 1 to {MAX_COMPUTES}")
    if len(set(names)) < len(names):
        raise problem("BadValue", "compute lists one compute twice")
    return names


Percent = Annotated[int, Field(ge=0)]
Traffic = Annotated[dict[DeploymentName, Percent], NoneIsEmpty]
Computes = Annotated[
    str | tuple[str, ...], BeforeValidator(_computes, json_schema_input_type=str | tuple[str, ...])
]  # fmt: skip


class OnlineEndpoint(Spec):
    """Where predictions are asked; deployments answer by their share of the traffic."""

    read_only: ClassVar[frozenset[str]] = frozenset({"scoring_uri", "openapi_uri", "kind", "public_network_access"})

    name: EndpointName = Field(description="Unique in the workspace and on the site.")
    type: Annotated[Literal["kubernetes", "local", "managed"], Fold()] | None = Field(
        None, description="Not needed: the compute decides.", exclude=True
    )
    compute: Computes | None = Field(
        None, description="Where it serves: one compute, or a list; none: the workspace's default compute."
    )
    keys: Annotated[Literal["shared", "separate"], Fold()] = Field(
        "shared", description="On several computes: the same keys open all of them, or each has keys of its own."
    )
    auth_mode: Annotated[Literal["key", "aml_token", "aad_token"], Fold()] = Field(
        "key", description="Long-lived keys, or tokens that expire."
    )
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="Set once, for programs.")
    location: str = Field("", description="Where it stands, for people; empty: unsaid.")
    identity: Identity | None = Field(None, description="As whom its pods reach other services; none: system_assigned.")
    traffic: Traffic = Field({}, description="Deployment -> percent, 0 or 100 in all; empty: no traffic.")
    mirror_traffic: Traffic = Field({}, description="One deployment -> percent of requests copied to it, at most 50.")

    @field_validator("traffic")
    @classmethod
    def _adds_up(cls, traffic: dict[str, int]) -> dict[str, int]:
        return check_traffic(traffic)

    @field_validator("mirror_traffic")
    @classmethod
    def _half_at_most(cls, mirror: dict[str, int]) -> dict[str, int]:
        if len(mirror) > 1 or any(share > 50 for share in mirror.values()):
            raise problem("TrafficInvalid", "mirror_traffic names one deployment with at most 50 percent")
        return mirror

    @model_validator(mode="after")
    def _auth(self, info: ValidationInfo) -> OnlineEndpoint:
        if self.auth_mode == "aad_token":
            raise problem("NotSupported", "auth_mode aad_token is not supported; use key or aml_token")
        if self.keys == "separate" and self.auth_mode != "key":
            raise problem("BadValue", "keys: separate needs auth_mode key; tokens open every compute of an endpoint")
        if self.type == "managed":
            warn(info, "type managed means nothing here: the endpoint serves on its compute")
        return self


def check_traffic(traffic: dict[str, int]) -> dict[str, int]:
    """Weights that add up to 0 or 100; raises the `TrafficInvalid` problem."""
    total = sum(traffic.values())
    if total not in (0, 100):
        shares = ", ".join(f"{name}={share}" for name, share in traffic.items())
        raise problem("TrafficInvalid", f"traffic adds up to {total} ({shares}); it must be 0 or 100")
    return traffic
