"""The custom resources of Ferry, from the specs that its programs read them with; deploy/crds is written from here."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ferryml.compile.kubernetes.labels import GROUP, VERSION
from ferryml.compile.kubernetes.structural import Schema, structural
from ferryml.domain.orders import EndpointOrder, JobOrder, Wire
from ferryml.domain.seen import StoredStatus
from ferryml.domain.spec.instance_type import InstanceTypeSpec
from ferryml.domain.statuses import EndpointStatus, JobStatus

ALIAS_GROUP = "amlarc.azureml.com"
_IS = {
    key: f"isQuantity(string(self.requests.{key})) && isQuantity(string(self.limits.{key}))"
    for key in ("cpu", "memory")
}
KEEP = {"helm.sh/resource-policy": "keep"}
"""Work and types stay when the chart goes."""

Json = Any


class MLJobSpec(Wire):
    """A wish of the server for one job; made by Ferry's agent."""

    uid: str = Field(min_length=5, max_length=400, pattern=r"^job\.", description="job.WORKSPACE.NAME; never changes.")
    generation: int = Field(description="Rises with every change of the wish.")
    cursor: int = Field(description="Place in the site's list of wishes.")
    order: JobOrder | None = Field(None, description="The resolved job; absent: stop it and clean up.")
    grant: str = Field("", description="The server's signature over what the job may fetch and write.")


class OnlineEndpointSpec(Wire):
    """A wish of the server for one endpoint with all that is behind it; made by Ferry's agent."""

    uid: str = Field(
        min_length=5, max_length=400, pattern=r"^endpoint\.", description="endpoint.WORKSPACE.NAME; never changes."
    )
    generation: int = Field(description="Rises with every change of the wish.")
    cursor: int = Field(description="Place in the site's list of wishes.")
    order: EndpointOrder | None = Field(
        None, description="The resolved endpoint with traffic, mirror and running rollout; absent: take it down."
    )
    grant: str = Field("", description="The server's signature over what its deployments may fetch and write.")


class OnlineDeploymentSpec(Wire):
    """What the agent was asked for; written by it, for people to look at."""

    endpoint: str = Field(description="Name of the endpoint.")
    deployment: str = Field(description="Name of the deployment, unique in its endpoint.")
    workspace: str = Field(description="Whose it is.")
    compute: str = Field(description="Compute of the workspace that it serves on.")
    model: str = Field("", description="model:NAME:VERSION of the revision that serves, or comes to.")
    revision: str = Field("", description="The revision that serves; empty before the first is ready.")
    candidate: str = Field("", description="The revision on its way; empty when there is none.")


class OnlineDeploymentStatus(Wire):
    """What became of it, as the site's agent saw it."""

    state: str = Field("", description="Creating, Succeeded, Failed, Updating: of the newest revision.")
    ready: int = Field(0, description="Instances that take requests.")
    wanted: int = Field(0, description="Instances that there shall be.")
    traffic: int = Field(0, description="Percent of the endpoint's requests.")
    code: str = Field("", description="What keeps it, as in docs/errors.md.")
    reason: str = Field("", description="The same in words, with what to do.")


def definitions() -> dict[str, dict[str, Json]]:
    """File name below deploy/crds -> CustomResourceDefinition."""
    types = [instance_type(GROUP, ["it"]), instance_type(ALIAS_GROUP, [])]
    made = [ml_job(), online_endpoint(), online_deployment(), *types]
    return {f"{crd['metadata']['name']}.yaml": crd for crd in made}


def ml_job() -> dict[str, Json]:
    """MLJob: a wish and what became of it, in the namespace of the compute."""
    spec = structural(MLJobSpec)
    spec["x-kubernetes-validations"] = _of_a_wish("MLJob")
    spec["properties"]["order"]["properties"]["instance_count"]["minimum"] = 1
    columns = [
        _column("Phase", ".status.phase"),
        _column("Workspace", ".spec.order.workspace"),
        _column("Compute", ".spec.order.compute"),
        _column("Attempt", ".status.attempt", "integer"),
        _column("Reason", ".status.reason", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    schema = {"type": "object", "description": "A job of Ferry on this cluster.", "required": ["spec"],
              "properties": {"spec": spec, "status": _status(structural(JobStatus), "Job", ())}}  # fmt: skip
    names = {"kind": "MLJob", "listKind": "MLJobList", "plural": "mljobs", "singular": "mljob", "shortNames": ["mlj"]}
    return _definition(GROUP, "Namespaced", {**names, "categories": ["ferry"]}, schema, columns, status=True)


def online_endpoint() -> dict[str, Json]:
    """OnlineEndpoint: a wish and what became of it, in the namespace of the compute; owns all that serves it."""
    spec = structural(OnlineEndpointSpec)
    spec["x-kubernetes-validations"] = _of_a_wish("OnlineEndpoint")
    columns = [
        _column("State", ".status.phase"),
        _column("Traffic", ".status.traffic"),
        _column("Workspace", ".spec.order.workspace"),
        _column("Rollout", ".status.status.rollout.state"),
        _column("URI", ".status.status.scoring_uri", priority=1),
        _column("Reason", ".status.reason", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    status = _status(structural(EndpointStatus), "Endpoint", ("traffic",))
    schema = {"type": "object", "description": "An online endpoint of Ferry on this cluster.", "required": ["spec"],
              "properties": {"spec": spec, "status": status}}  # fmt: skip
    names = {"kind": "OnlineEndpoint", "listKind": "OnlineEndpointList", "plural": "onlineendpoints",
             "singular": "onlineendpoint", "shortNames": ["oe"], "categories": ["ferry"]}  # fmt: skip
    return _definition(GROUP, "Namespaced", names, schema, columns, status=True)


def online_deployment() -> dict[str, Json]:
    """OnlineDeployment: one deployment of an endpoint as people look at it."""
    columns = [
        _column("Endpoint", ".spec.endpoint"),
        _column("Deployment", ".spec.deployment"),
        _column("State", ".status.state"),
        _column("Ready", ".status.ready", "integer"),
        _column("Wanted", ".status.wanted", "integer"),
        _column("Traffic", ".status.traffic", "integer"),
        _column("Code", ".status.code"),
        _column("Model", ".spec.model", priority=1),
        _column("Reason", ".status.reason", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    schema = {"type": "object", "description": "A deployment behind an online endpoint.", "required": ["spec"],
              "properties": {"spec": structural(OnlineDeploymentSpec),
                             "status": structural(OnlineDeploymentStatus)}}  # fmt: skip
    names = {"kind": "OnlineDeployment", "listKind": "OnlineDeploymentList", "plural": "onlinedeployments",
             "singular": "onlinedeployment", "shortNames": ["od"], "categories": ["ferry"]}  # fmt: skip
    return _definition(GROUP, "Namespaced", names, schema, columns, status=True)


def instance_type(group: str, short: list[str]) -> dict[str, Json]:
    """InstanceType of our own group, or of the one that files of elsewhere name (installed only where it is absent)."""
    spec = structural(InstanceTypeSpec)
    resources = spec["properties"]["resources"]["properties"]
    for name, words in (("requests", "sets aside"), ("limits", "may use")):
        resources[name] = _amounts(f"What a pod {words}: cpu, memory, and in limits nvidia.com/gpu and the like.")
    spec["properties"]["resources"]["x-kubernetes-validations"] = [
        {
            "rule": f"!({_IS[key]} && quantity(string(self.requests.{key})).compareTo("
            f"quantity(string(self.limits.{key}))) > 0)",
            "message": f"requests.{key} is more than limits.{key}",
        }
        for key in ("cpu", "memory")
    ]
    for name in ("affinity", "tolerations"):
        spec["properties"][name]["description"] += " Kubernetes' own form."
    columns = [
        _column("CPU", ".spec.resources.requests.cpu"),
        _column("Memory", ".spec.resources.requests.memory"),
        _column("GPU", r".spec.resources.limits.nvidia\.com/gpu"),
        _column("Description", ".spec.description", priority=1),
        _column("Age", ".metadata.creationTimestamp", "date"),
    ]
    schema = {"type": "object", "description": "What a job or deployment asks of a node.", "required": ["spec"],
              "properties": {"spec": spec}}  # fmt: skip
    names = {"kind": "InstanceType", "listKind": "InstanceTypeList", "plural": "instancetypes",
             "singular": "instancetype", **({"shortNames": short} if short else {})}  # fmt: skip
    return _definition(group, "Cluster", {**names, "categories": ["ferry"]}, schema, columns, status=False)


def _amounts(words: str) -> Schema:
    """Quantities; null or 0 for a GPU means none.

    A map would say it shorter, but kubectl takes nulls only where a property is named.
    """
    value = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    rules = [
        {
            "rule": f"isQuantity(string(self.{key})) && quantity(string(self.{key})).isGreaterThan(quantity('0'))",
            "message": f"{key} must be a quantity of more than 0, such as {example}",
        }
        for key, example in (("cpu", "500m"), ("memory", "2Gi"))
    ]
    return {"type": "object", "description": words, "required": ["cpu", "memory"],
            "properties": {"cpu": value, "memory": value, "nvidia.com/gpu": {**value, "nullable": True}},
            "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-validations": rules}  # fmt: skip


def _of_a_wish(kind: str) -> list[dict[str, str]]:
    return [
        {"rule": "self.uid == oldSelf.uid", "message": f"uid never changes: make another {kind}"},
        {"rule": "!has(self.order) || self.order.name != ''", "message": "order.name is empty"},
    ]


def _status(whole: Schema, kind: str, more: tuple[str, ...]) -> Schema:
    """What the agent has decided, flat on top for people, whole below for itself."""
    status = structural(StoredStatus)
    status.pop("required", None)
    status["description"] = "What became of it, as the site's agent saw it."
    properties = {name: item for name, item in status["properties"].items() if name != "uid"}
    whole.pop("required", None)
    whole["properties"]["kind"] = {"type": "string", "enum": [kind, "Gone"]}
    shown = {name: {"type": "string"} for name in ("phase", "reason", *more)}
    return {**status, "properties": {**properties, "status": whole, **shown}}


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> dict[str, Json]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}


def _definition(
    group: str, scope: str, names: dict[str, Json], schema: Schema, columns: list[Json], *, status: bool
) -> dict[str, Json]:
    version = {
        "name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns, **({"subresources": {"status": {}}} if status else {}),
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names['plural']}.{group}",
            "labels": {"app.kubernetes.io/managed-by": "ferry"},
            "annotations": KEEP,
        },
        "spec": {"group": group, "scope": scope, "names": names, "versions": [version]},
    }
