"""Everything of a site's installation in the order in which a cluster takes it."""

from __future__ import annotations

from ferryml.compile.install.access import access, accounts
from ferryml.compile.install.config import kept
from ferryml.compile.install.kit import Manifest, obj
from ferryml.compile.install.policies import policies
from ferryml.compile.install.programs import programs, store
from ferryml.compile.install.routers import routers
from ferryml.compile.install.values import AgentValues


def agent(values: AgentValues, namespace: str, version: str) -> list[Manifest]:
    """The objects that the chart ferry-agent makes, hooks and the store's claim apart."""
    return [
        *accounts(values, namespace),
        *kept(values, namespace),
        *access(values, namespace),
        *policies(values, namespace),
        *programs(values, namespace, version),
        *routers(values, namespace, version),
    ]


def lasting(values: AgentValues, namespace: str) -> list[Manifest]:
    """What stays when the programs go: the namespace, which Helm makes, those of environments and builds, the store's
    claim."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    if values.environments.create:
        made.append(obj("v1", "Namespace", values.environments.namespace))
    if values.builds.registry and values.builds.create:
        builds = obj("v1", "Namespace", values.builds.namespace)
        builds["metadata"]["labels"] |= {"pod-security.kubernetes.io/enforce": "privileged"}
        made.append(builds)
    return [*made, *store(values, namespace)]
