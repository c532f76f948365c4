"""Computes: the places of a workspace where jobs and deployments may run."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, Tag

from ferryml.domain.spec.common import Spec
from ferryml.domain.spec.values import Fold, OneOrMany, SiteName, Text, TextMap, named, type_of


def _resource_id(value: Any) -> Any:
    return {"resource_id": value} if isinstance(value, str) else value


class AssignedIdentity(Spec):
    """One identity made outside Ferry."""

    read_only: ClassVar[frozenset[str]] = frozenset({"principal_id", "client_id"})

    resource_id: str = Field(description="The identity's id where it was made.")


class Identity(Spec):
    """As whom pods reach other services; a service account on plain Kubernetes."""

    read_only: ClassVar[frozenset[str]] = frozenset({"principal_id", "tenant_id"})

    type: Annotated[Literal["system_assigned", "user_assigned", "none"], Fold()] = Field(
        "system_assigned", description="Made for the compute, or named in user_assigned_identities."
    )
    user_assigned_identities: Annotated[
        tuple[
            Annotated[AssignedIdentity, BeforeValidator(_resource_id, json_schema_input_type=AssignedIdentity | str)],
            ...,
        ],
        OneOrMany,
    ] = Field((), description="Only the first is used; empty with system_assigned.")


class _Compute(Spec):
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"created_on", "properties", "provisioning_state", "provisioning_errors", "instance_types", "capacity"}
    )

    name: Annotated[Text, named("compute")] = Field(description="Name in the workspace.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    location: str = Field("", description="Where it stands, for people; empty: unsaid.")
    site: SiteName | None = Field(
        None, description="The joined site it is part of; none: found from resource_id or the name."
    )


class KubernetesCompute(_Compute):
    """A namespace of a joined cluster."""

    type: Annotated[Literal["kubernetes"], Fold()] = Field("kubernetes", description="The kind of compute.")
    resource_id: str = Field("", description="The cluster's id, or site:NAME; empty when `site` says it.")
    namespace: Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = Field(
        "default", description="Namespace of the workloads; must exist, unless create_namespace makes it."
    )
    create_namespace: bool = Field(
        False, description="Make the namespace when it is missing, where the site allows that."
    )
    identity: Identity | None = Field(None, description="As whom pods reach other services; none: no identity.")


class LocalCompute(_Compute):
    """Processes on the machine of a site's agent."""

    type: Annotated[Literal["local"], Fold()] = Field("local", description="The kind of compute.")


Compute = Annotated[
    Annotated[KubernetesCompute, Tag("~KubernetesCompute")] | Annotated[LocalCompute, Tag("~LocalCompute")],
    type_of(KubernetesCompute, LocalCompute),
]
"""Any compute, told apart by `type`."""
