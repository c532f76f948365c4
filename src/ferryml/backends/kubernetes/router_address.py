"""Where callers reach the router: read from its Service, for that is what people changed when they changed it."""

from __future__ import annotations

from collections.abc import Iterable

from ferryml.backends.kubernetes.kube import Manifest, annotations_of, namespace_of

SERVICE = "ferry-router"
CNAME = "ferryml.dev/cname"
"""Annotation of the Service: the name that callers use, which the certificate is for."""
_DEFAULTS = {"http": 80, "https": 443}


def scoring_url(service: Manifest, nodes: Iterable[Manifest]) -> str:
    """The base of scoring URLs, no trailing slash. A load balancer that has no address yet is known inside alone."""
    spec = service.get("spec") or {}
    port: Manifest = next(iter(spec.get("ports") or ()), {})
    scheme = "https" if port.get("name") == "https" else "http"
    inside = f"{SERVICE}.{namespace_of(service)}.svc"
    host, number = inside, int(port.get("port") or 0)
    if spec.get("type") == "NodePort":
        host, number = _node(nodes) or inside, int(port.get("nodePort") or number)
    elif spec.get("type") == "LoadBalancer":
        host = _balancer(service) or inside
    host = annotations_of(service).get(CNAME) or host
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + ("" if number == _DEFAULTS[scheme] else f":{number}")


def _balancer(service: Manifest) -> str:
    for one in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
        if found := one.get("ip") or one.get("hostname"):
            return str(found)
    return ""


def _node(nodes: Iterable[Manifest]) -> str:
    """Any node passes calls on; an address that is reachable from outside is better than one that is not."""
    known = {"ExternalIP": "", "InternalIP": ""}
    for node in nodes:
        for one in (node.get("status") or {}).get("addresses") or ():
            if one.get("type") in known and not known[one["type"]]:
                known[one["type"]] = str(one["address"])
    return known["ExternalIP"] or known["InternalIP"]
