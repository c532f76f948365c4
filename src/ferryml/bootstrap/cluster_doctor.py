"""The doctor of a cluster, plugged together: inside a running agent, and for `ferry agent doctor` before joining."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from ferryml.agent.doctor import Doctor, ServerLook, Wants
from ferryml.agent.doctor_probe import Clock, Probe
from ferryml.backends.kubernetes.access import find_access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.facts import KubeFacts
from ferryml.backends.kubernetes.kinds import ALIAS_INSTANCE_TYPES, INSTANCE_TYPES
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.bootstrap.dice import SystemDice
from ferryml.compile.kubernetes.cluster import Cluster, cluster_of
from ferryml.domain.errors import FerryError
from ferryml.domain.instance_types import table
from ferryml.domain.spec.instance_type import InstanceType
from ferryml.domain.statuses import Finding
from ferryml.sdk.wire import Route, Wire, open_client
from ferryml.settings import ClusterSettings, SiteSettings

GATEWAY_PATIENCE_S = 5.0
SYSTEM_CLOCK = Clock(time.monotonic, time.sleep)


def wants_of(knobs: ClusterSettings) -> Wants:
    """What doctor and inventory need of the settings."""
    return Wants(
        system=knobs.system_namespace, environments=knobs.environments_namespace,
        namespaces=knobs.allowed_namespaces(), create_namespaces=knobs.create_namespaces,
        pod_security=knobs.pod_security, probe=knobs.doctor_probe, inference=knobs.inference,
        builds=knobs.builds_namespace if knobs.build_registry else "",
    )  # fmt: skip


def route_of(settings: SiteSettings) -> Route:
    return Route(settings.server_url, settings.proxy, settings.no_proxy, settings.ca_bundle, settings.connect_timeout_s)


def make_doctor(
    settings: SiteSettings, kube: Kube, cluster: Cluster, wants: Wants,
    types: Callable[[], dict[str, InstanceType]], gateway: Callable[[], str] = lambda: "",
) -> Doctor:  # fmt: skip
    """A doctor that calls the server the way the site does."""
    facts, route = KubeFacts(kube), route_of(settings)
    probe = Probe(facts, cluster, SYSTEM_CLOCK)
    return Doctor(facts, wants, types, lambda: server_look(route, SystemDice().now), gateway, probe.findings)


def server_look(route: Route, now: Callable[[], datetime]) -> ServerLook:
    """Call the server through the site's proxy and authorities."""
    try:
        wire = Wire(open_client(route), route)
        try:
            answer = wire.send("GET", "/api/v1/version", timeout_s=20)
        finally:
            wire.close()
    except FerryError as error:
        return ServerLook(error.code, error.message, url=route.url)
    return ServerLook(skew_s=_skew(answer.headers.get("date", ""), now()), url=route.url)


def gateway_look(url: str, authority: str) -> str:
    """In words, why the gateway does not answer; empty when it does."""
    try:
        context = ssl.create_default_context(cadata=authority or None)
        with httpx.Client(verify=context, trust_env=False, timeout=GATEWAY_PATIENCE_S) as client:
            client.get(f"{url}/healthz").raise_for_status()
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        return f"{url}: {error or type(error).__name__}"
    return ""


def examine(settings: SiteSettings, knobs: ClusterSettings, probe: bool = True) -> tuple[Finding, ...]:
    """Everything that can be said of the cluster before it joins. Raises Refused when there is no way to it."""
    kube = HttpKube(find_access())
    try:
        wants = wants_of(knobs)
        cluster = cluster_of(settings.model_dump(), knobs.model_dump(), gateway_url="", ca="", main_sh="")
        doctor = make_doctor(settings, kube, cluster, wants, lambda: types_of(kube))
        found = list(doctor.examine(probe))
        for name in wants.namespaces:
            found += doctor.namespace(name) or _namespace_word(kube, name)
        return tuple(found)
    finally:
        kube.close()


def types_of(kube: Kube) -> dict[str, InstanceType]:
    """Instance types of the cluster, the default one among them; those that cannot be seen are left out."""
    bodies: list[Manifest] = []
    for kind in (INSTANCE_TYPES, ALIAS_INSTANCE_TYPES):
        try:
            bodies += kube.list(kind).items
        except FerryError:
            continue
    return table(bodies)[0]


def _namespace_word(kube: Kube, name: str) -> tuple[Finding, ...]:
    try:
        there = KubeFacts(kube).get("v1/namespaces", name) is not None
    except FerryError as error:
        return (Finding(check="namespace", code="PermissionMissing", cause=error.message, fix=error.hint),)
    if there:
        return (Finding(check="namespace", code="Ok", level="ok", cause=f"namespace {name} can be used"),)
    fix = f"kubectl create namespace {name}"
    return (Finding(check="namespace", code="NamespaceMissing", cause=f"there is no namespace {name}", fix=fix),)


def _skew(date: str, now: datetime) -> float:
    try:
        server = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return (now - (server if server.tzinfo else server.replace(tzinfo=UTC))).total_seconds()
