"""What all pods of one cluster have in common, read once from the knobs; compile never sees the settings' own types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ferryml.domain.errors import Refused

Json = Any


def _listed(value: Any) -> Any:
    return tuple(part for text in value.split(",") if (part := text.strip())) if isinstance(value, str) else value


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.strip() else value or None


def _mapping(value: Any) -> Any:
    return _json(value) or {}


def _sequence(value: Any) -> Any:
    return _json(value) or ()


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
TextMap = Annotated[dict[str, str], BeforeValidator(_mapping)]
Maps = Annotated[tuple[dict[str, Json], ...], BeforeValidator(_sequence)]


def _knob(name: str) -> AliasChoices:
    return AliasChoices(f"{name}_json", name)


class Cluster(BaseModel):
    """`cluster_of` fills it from `ClusterSettings` and `SiteSettings`; fields of the same name mean the same."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, validate_default=True)

    system_namespace: str = "ferry-system"
    environments_namespace: str = "ferry-environments"
    runner_image: str = "ferry-runner:latest"
    default_image: str = "docker.io/library/python:3.11-bookworm"
    image_registry: str = ""
    image_aliases: TextMap = Field({}, validation_alias=_knob("image_aliases"))
    image_pull_secrets: Names = ()
    image_pull_policy: str = "IfNotPresent"
    workload_node_selector: TextMap = Field({}, validation_alias=_knob("workload_node_selector"))
    workload_tolerations: Maps = Field((), validation_alias=_knob("workload_tolerations"))
    network_policies: bool = True
    egress: str = "open"
    gateway_port: int = 8443
    pod_security: str = "baseline"
    run_as_user: int = 65532
    priority_class: str = ""
    scheduler_name: str = ""
    gang: str = "check"
    gang_timeout_s: float = 120
    kueue_queue: str = ""
    node_lost_s: int = 60
    serving_node_lost_s: int = 30
    stage_cpu: str = "100m"
    stage_memory: str = "128Mi"
    collect_cpu: str = "50m"
    collect_memory: str = "96Mi"
    preparation_cpu: str = "500m"
    preparation_memory: str = "1Gi"
    builds_namespace: str = "ferry-builds"
    builder_image: str = "ferry-builder:latest"
    build_registry: str = ""
    build_secret: str = ""
    build_insecure: bool = False
    build_proxy: str = ""
    build_user_namespaces: bool = False
    build_cpu: str = "1"
    build_memory: str = "4Gi"
    build_storage: str = "30Gi"
    build_timeout_s: float = 3600
    python: str = "exact"
    prepare_timeout_s: float = 1800
    cancel_grace_s: float = 10
    upload_grace_s: float = 3600
    log_flush_s: float = 0.5
    checkpoint_s: float = 60
    max_log_bytes: int = 512 * 2**20

    gateway_url: str
    """https://..., no trailing slash."""
    ca: str
    """PEM of the authority that signed the gateway's certificate."""
    main_sh: str = Field(repr=False)
    """Text of what main containers run."""
    prepare_sh: str = Field("", repr=False)
    """Text of what the main container of a preparation runs."""
    build_ca_pem: str = Field("", repr=False)
    """PEM of authorities for the registry of builds; empty: the public ones."""
    kubernetes: tuple[int, int] = (1, 29)
    """Version of the API server."""


def cluster_of(*knobs: Mapping[str, Json], **known: Json) -> Cluster:
    """From dumped settings (later ones win) and what only the running agent knows; raises Refused `BadValue`.

    >>> cluster_of(site.model_dump(), cluster.model_dump(), gateway_url=url, ca=pem, main_sh=text)
    """
    merged: dict[str, Json] = {}
    for part in (*knobs, known):
        merged |= part
    try:
        return Cluster.model_validate(merged)
    except (ValidationError, json.JSONDecodeError) as error:
        where = error.errors()[0]["loc"][0] if isinstance(error, ValidationError) else "a knob that holds JSON"
        raise Refused(
            "BadValue", f"the cluster's setting {where} cannot be read", "See docs/settings.md, section cluster."
        ) from error
