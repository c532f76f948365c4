"""A cluster as doctor and inventory ask for it, in memory: objects by kind, rights that can be taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ferryml.domain.errors import Conflict, FerryError
from ferryml.domain.instance_types import table
from ferryml.domain.spec.instance_type import InstanceType

REVIEWS = "authorization.k8s.io/v1/selfsubjectaccessreviews"
DEFINITIONS = "apiextensions.k8s.io/v1/customresourcedefinitions"
CLASSES = "storage.k8s.io/v1/storageclasses"


def thing(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, **more}


def a_node(name: str = "n1", cpu: str = "4", ready: bool = True, **labels: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
    body = thing(name, spec={}, status={"allocatable": amounts, "conditions": conditions})
    body["metadata"]["labels"] = labels
    return body


def a_pod(name: str, node: str, cpu: str, phase: str = "Running") -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    return thing(name, "ns", spec={"nodeName": node, "containers": [container]}, status={"phase": phase})


class World:
    """`agent.ports.Kube`. A cluster in which all is well, until told otherwise."""

    def __init__(self) -> None:
        default = thing("fast")
        default["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
        self.release = "1.34.4"
        self.objects: dict[str, list[dict[str, Any]]] = {
            "v1/nodes": [a_node()], CLASSES: [default],
            "v1/namespaces": [thing("default"), thing("ml"), thing("kube-system"), thing("ferry-environments")],
            DEFINITIONS: [
                thing(f"{plural}.ferryml.dev")
                for plural in ("mljobs", "onlineendpoints", "onlinedeployments", "instancetypes")
            ],
        }  # fmt: skip
        self.denied: set[tuple[str, str]] = set()
        """(resource, verb) that reviews say no to."""
        self.refusals: dict[tuple[str, str], FerryError] = {}
        """(verb, kind) -> what it is answered with."""
        self.logs: dict[str, str] = {}
        self.made: list[tuple[str, str]] = []
        self.gone: list[tuple[str, str]] = []
        self.hears: Callable[[str, Mapping[str, Any]], None] = lambda kind, body: None

    def version(self) -> str:
        return self.release

    def get(self, kind: str, name: str, namespace: str = "") -> Mapping[str, Any] | None:
        self._check("get", kind)
        return next((each for each in self.objects.get(kind, ()) if _name(each) == name), None)

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Sequence[Mapping[str, Any]]:
        self._check("list", kind)
        key, _, value = selector.partition("=")
        found = self.objects.get(kind, [])
        if not selector or key.endswith("!"):
            return found
        return [each for each in found if (each["metadata"].get("labels") or {}).get(key) == value]

    def create(self, kind: str, body: Mapping[str, Any], namespace: str = "") -> Mapping[str, Any]:
        self._check("create", kind)
        if kind == REVIEWS:
            asked = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return {"status": {"allowed": (resource, asked["verb"]) not in self.denied}}
        if self.get(kind, _name(body)) is not None:
            raise Conflict("AlreadyExists", f"{_name(body)} exists")
        self.objects.setdefault(kind, []).append(dict(body))
        self.made.append((kind, _name(body)))
        self.hears(kind, body)
        return body

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self._check("delete", kind)
        kept = [each for each in self.objects.get(kind, ()) if _name(each) != name]
        if len(kept) != len(self.objects.get(kind, ())):
            self.gone.append((kind, name))
        self.objects[kind] = kept

    def log(self, pod: str, namespace: str, container: str = "") -> str:
        return self.logs.get(pod, "")

    def types(self) -> dict[str, InstanceType]:
        return table(self.objects.get("ferryml.dev/v1alpha1/instancetypes", ()))[0]

    def _check(self, verb: str, kind: str) -> None:
        if (verb, kind) in self.refusals:
            raise self.refusals[verb, kind]


class Kubelet:
    """Starts the probe's pods when their Jobs are made: `says` has what each role prints, `state` how it stands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.says: dict[str, str] = {
            "open": json.dumps({"kubernetes.default.svc": True}), "walled": "",
            "client": json.dumps({"open": True, "walled": False, "outside": False}),
        }  # fmt: skip
        self.status: dict[str, Any] = {"phase": "Running", "podIP": "10.0.0.9"}
        world.hears = self.starts

    def starts(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind != "batch/v1/jobs":
            return
        role = body["metadata"]["labels"]["ferryml.dev/doctor"]
        pod = thing(f"ferry-doctor-{role}-x", "ferry-environments", spec={}, status=dict(self.status))
        pod["metadata"]["labels"] = dict(body["spec"]["template"]["metadata"]["labels"])
        if role == "client":
            pod["status"] = {"phase": "Succeeded"}
        self.world.objects.setdefault("v1/pods", []).append(pod)
        self.world.logs[f"ferry-doctor-{role}-x"] = self.says[role]


def _name(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["name"])
