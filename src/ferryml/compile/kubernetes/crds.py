"""The custom resources of Ferry, from the specs that its programs read them with; deploy/crds is written from here."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ferryml.compile.kubernetes.labels import GROUP, VERSION
from ferryml.compile.kubernetes.structural import Schema, structural
from ferryml.domain.orders import JobOrder, Wire
from ferryml.domain.seen import StoredStatus
from ferryml.domain.spec.instance_type import InstanceTypeSpec
from ferryml.domain.statuses import JobStatus

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


def definitions() -> dict[str, dict[str, Json]]:
    """File name below deploy/crds -> CustomResourceDefinition."""
    made = [ml_job(), instance_type(GROUP, ["it"]), instance_type(ALIAS_GROUP, [])]
    return {f"{crd['metadata']['name']}.yaml": crd for crd in made}


def ml_job() -> dict[str, Json]:
    """MLJob: a wish and what became of it, in the namespace of the compute."""
    spec = structural(MLJobSpec)
    spec["x-kubernetes-validations"] = [
        {"rule": "self.uid == oldSelf.uid", "message": "uid never changes: make another MLJob"},
        {"rule": "!has(self.order) || self.order.name != ''", "message": "order.name is empty"},
    ]
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
              "properties": {"spec": spec, "status": _status()}}  # fmt: skip
    names = {"kind": "MLJob", "listKind": "MLJobList", "plural": "mljobs", "singular": "mljob", "shortNames": ["mlj"]}
    return _definition(GROUP, "Namespaced", {**names, "categories": ["ferry"]}, schema, columns, status=True)


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


def _status() -> Schema:
    """What the agent has decided, flat on top for people, whole below for itself."""
    status = structural(StoredStatus)
    status.pop("required", None)
    status["description"] = "What became of it, as the site's agent saw it."
    properties = {name: item for name, item in status["properties"].items() if name != "uid"}
    whole = structural(JobStatus)
    whole.pop("required", None)
    whole["properties"]["kind"] = {"type": "string", "enum": ["Job", "Gone"]}
    text = {"type": "string"}
    return {**status, "properties": {**properties, "status": whole, "phase": text, "reason": text}}


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
