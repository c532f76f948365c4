"""The doctor's checks, each well and each broken."""

from __future__ import annotations

import pytest

from ferryml.agent.doctor import Doctor, ServerLook, Wants
from ferryml.domain.errors import Forbidden, Unavailable
from ferryml.domain.statuses import Finding
from kube_world import CLASSES, DEFINITIONS, World, a_node, thing

WELL = ServerLook(url="https://s")


def doctor(world: World, server: ServerLook = WELL, gateway: str = "", **wants: object) -> Doctor:
    return Doctor(world, Wants(**wants), world.types, lambda: server, lambda: gateway)  # type: ignore[arg-type]


def lines(found: tuple[Finding, ...]) -> dict[str, tuple[str, str]]:
    assert all(each.level == "ok" or each.fix for each in found)
    return {each.check: (each.level, each.code) for each in found}


def test_a_healthy_cluster() -> None:
    found = lines(doctor(World()).examine())
    assert {level for level, _ in found.values()} == {"ok"}
    assert set(found) == {
        "kubernetes", "rights", "definitions", "server", "clock", "nodes", "default-type", "storage", "gpu",
    }  # fmt: skip


def test_old_clusters() -> None:
    world = World()
    world.release = "v1.28.9+k3s1"
    assert lines(doctor(world).examine())["kubernetes"] == ("failed", "KubernetesTooOld")


@pytest.mark.parametrize("right", [("nodes", "list"), ("jobs", "create"), ("pods/log", "get")])
def test_missing_rights(right: tuple[str, str]) -> None:
    world = World()
    world.denied.add(right)
    found = doctor(world).examine()
    assert lines(found)["rights"] == ("failed", "PermissionMissing")
    assert f"{right[1]} {right[0]}" in next(each.cause for each in found if each.check == "rights")


def test_definitions_that_are_not_installed() -> None:
    world = World()
    world.objects[DEFINITIONS] = []
    assert lines(doctor(world).examine())["definitions"] == ("failed", "SiteUnhealthy")
    world.refusals["get", DEFINITIONS] = Forbidden("Forbidden", "no")
    assert lines(doctor(world).examine())["definitions"] == ("failed", "SiteUnhealthy")


@pytest.mark.parametrize(
    ("look", "line"),
    [
        (ServerLook("ProxyFailed", "407 Proxy Authentication Required"), ("failed", "ProxyFailed")),
        (ServerLook("TlsFailed", "unable to get local issuer certificate"), ("failed", "TlsFailed")),
        (ServerLook("ServerUnreachable", "Name or service not known"), ("failed", "DnsFailed")),
        (ServerLook("ServerUnreachable", "timed out"), ("failed", "ServerUnreachable")),
        (ServerLook("Internal", "a defect"), ("failed", "ServerUnreachable")),
    ],
)
def test_the_way_to_the_server(look: ServerLook, line: tuple[str, str]) -> None:
    found = lines(doctor(World(), look).examine())
    assert found["server"] == line
    assert "clock" not in found


def test_clocks_that_differ() -> None:
    assert lines(doctor(World(), ServerLook(skew_s=45)).examine())["clock"] == ("warning", "ClockSkew")


def test_a_gateway_that_is_down() -> None:
    assert lines(doctor(World(), gateway="refused").examine())["gateway"] == ("failed", "GatewayDown")


def test_nodes() -> None:
    world = World()
    world.objects["v1/nodes"] = [a_node(ready=False)]
    assert lines(doctor(world).examine())["nodes"] == ("failed", "ClusterTooSmall")
    world.objects["v1/nodes"] = [a_node(cpu="50m")]
    assert lines(doctor(world).examine())["default-type"] == ("warning", "ClusterTooSmall")


def test_storage() -> None:
    world = World()
    world.objects[CLASSES] = [thing("slow")]
    assert "annotate storageclass" in next(e.fix for e in doctor(world).examine() if e.check == "storage")
    world.objects[CLASSES] = []
    assert lines(doctor(world).examine())["storage"] == ("warning", "StorageClassMissing")


def test_gpus() -> None:
    world = World()
    world.objects["v1/nodes"] = [a_node(**{"nvidia.com/gpu.present": "true"})]
    assert lines(doctor(world).examine())["gpu"] == ("warning", "GpuPluginMissing")
    world.objects["v1/nodes"][0]["status"]["allocatable"]["nvidia.com/gpu"] = "2"
    assert lines(doctor(world).examine())["gpu"] == ("ok", "Ok")


def test_namespaces() -> None:
    world = World()
    assert doctor(world).namespace("ml") == ()
    assert doctor(world).namespace("nowhere") == ()
    restricted = thing("tight")
    restricted["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    world.objects["v1/namespaces"] += [restricted, thing("dying", status={"phase": "Terminating"})]
    assert lines(doctor(world).namespace("tight"))["pod-security"] == ("warning", "AdmissionDenied")
    assert doctor(world, pod_security="restricted").namespace("tight") == ()
    assert lines(doctor(world).namespace("dying"))["namespace"] == ("failed", "NamespaceMissing")
    world.denied.add(("mljobs", "create"))
    assert lines(doctor(world).namespace("ml"))["rights"] == ("failed", "PermissionMissing")
    world.refusals["get", "v1/namespaces"] = Forbidden("Forbidden", "no")
    assert lines(doctor(world).namespace("ml"))["rights"] == ("failed", "PermissionMissing")


def test_what_cannot_be_looked_at_is_said_and_the_rest_goes_on() -> None:
    world = World()
    world.refusals["list", CLASSES] = Unavailable("Unavailable", "the API server is away")
    found = lines(doctor(world).examine())
    assert found["storage"] == ("warning", "Unavailable")
    assert found["gpu"][0] == "ok"


def test_the_probe_runs_only_when_asked() -> None:
    ran: list[int] = []

    def probe() -> tuple[Finding, ...]:
        ran.append(1)
        return ()

    made = Doctor(World(), Wants(), World().types, ServerLook, probe=probe)
    made.examine(probe=False)
    assert ran == []
    made.examine()
    assert ran == [1]


def test_environments_want_their_namespace() -> None:
    world = World()
    world.objects["v1/namespaces"] = [one for one in world.objects["v1/namespaces"] if "ferry" not in str(one)]
    assert lines(doctor(world).examine())["environments"] == ("failed", "NamespaceMissing")


def test_builds_want_theirs_where_there_is_a_registry() -> None:
    assert "builds" not in lines(doctor(World()).examine())
    assert lines(doctor(World(), builds="ferry-builds").examine())["builds"] == ("failed", "NamespaceMissing")
