"""Who may reach whom under given NetworkPolicies: the rules of Kubernetes as a pure function, to prove isolation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
Object = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Peer:
    """A pod, or an address outside the cluster when `namespace` is empty."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Besides kubernetes.io/metadata.name, which every namespace has."""
    ip: str = ""

    def all_namespace_labels(self) -> Mapping[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace, **self.namespace_labels}


def allows(policies: Iterable[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection gets through: the source's egress and the target's ingress must both admit it.

    Assumes a network plugin that enforces policies; without one everything gets through.
    """
    known = tuple(policies)
    return _admits(known, "Egress", source, target, port, protocol) and _admits(
        known, "Ingress", target, source, port, protocol
    )


def _admits(
    policies: tuple[Object, ...], way: Literal["Ingress", "Egress"], pod: Peer, other: Peer, port: int, protocol: str
) -> bool:
    """What selects a pod for a direction closes it, save for what one of the rules opens."""
    mine = [policy for policy in policies if pod.namespace and _holds(policy, way, pod)]
    if not mine:
        return True
    key, side = ("ingress", "from") if way == "Ingress" else ("egress", "to")
    return any(
        _port_fits(rule.get("ports"), port, protocol) and _peer_fits(rule.get(side), _home(policy), other)
        for policy in mine
        for rule in policy["spec"].get(key) or ()
    )


def _home(policy: Object) -> str:
    return str(policy["metadata"].get("namespace", ""))


def _holds(policy: Object, way: str, pod: Peer) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return way in types and _home(policy) == pod.namespace and selects(spec.get("podSelector") or {}, pod.labels)


def _peer_fits(peers: Iterable[Object] | None, home: str, other: Peer) -> bool:
    """No list is everyone; an empty list too, as Kubernetes has it."""
    known = tuple(peers or ())
    return not known or any(_one_fits(peer, home, other) for peer in known)


def _one_fits(peer: Object, home: str, other: Peer) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return bool(other.ip) and _inside(other.ip, block["cidr"]) and not any(
            _inside(other.ip, cidr) for cidr in block.get("except") or ()
        )  # fmt: skip
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"] or {}, other.all_namespace_labels()):
            return False
    elif other.namespace != home:
        return False
    return selects(peer.get("podSelector") or {}, other.labels)


def _port_fits(ports: Iterable[Object] | None, port: int, protocol: str) -> bool:
    known = tuple(ports or ())
    return not known or any(
        each.get("protocol", "TCP") == protocol
        and ("port" not in each or int(each["port"]) <= port <= int(each.get("endPort", each["port"])))
        for each in known
    )


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _expression(each: Object, labels: Mapping[str, str]) -> bool:
    key, values = each["key"], each.get("values") or ()
    match each["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"{other!r} is no operator of a label selector")


def _inside(ip: str, cidr: str) -> bool:
    return ipaddress.ip_address(ip) in ipaddress.ip_network(cidr)
