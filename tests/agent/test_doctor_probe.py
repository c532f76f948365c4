"""The probe's pods, on a kubelet that does as it is told."""

from __future__ import annotations

import json

from ferryml.agent.doctor_probe import Clock, Probe, policy_finding
from ferryml.compile.kubernetes.cluster import cluster_of
from ferryml.domain.errors import Forbidden
from kube_world import Kubelet, World


class Scene:
    """A probe with a clock that moves when it waits."""

    def __init__(self) -> None:
        self.world = World()
        self.kubelet, self.time = Kubelet(self.world), 0.0
        cluster = cluster_of({}, gateway_url="", ca="", main_sh="")
        self.probe = Probe(self.world, cluster, Clock(lambda: self.time, self._pass))

    def _pass(self, seconds: float) -> None:
        self.time += seconds

    def lines(self) -> dict[str, tuple[str, str]]:
        return {each.check: (each.level, each.code) for each in self.probe.findings()}


def test_all_is_well_and_nothing_is_left() -> None:
    scene = Scene()
    assert scene.lines() == {"image": ("ok", "Ok"), "dns": ("ok", "Ok"), "network-policies": ("ok", "Ok")}
    assert scene.world.objects["batch/v1/jobs"] == []
    assert scene.world.objects["networking.k8s.io/v1/networkpolicies"] == []
    assert len(scene.world.gone) == 6


def test_names_that_are_not_found() -> None:
    scene = Scene()
    scene.kubelet.says["open"] = json.dumps({"kubernetes.default.svc": "Name or service not known"})
    assert scene.lines()["dns"] == ("failed", "DnsFailed")


def test_an_image_that_does_not_come_has_its_cause() -> None:
    scene = Scene()
    waiting = {"reason": "ErrImagePull", "message": "failed to pull: 401 Unauthorized"}
    scene.kubelet.status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]}
    assert scene.lines() == {"image": ("failed", "ImageAccessDenied")}
    scene.kubelet.status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
    scene.world.objects["v1/pods"] = []
    assert scene.lines() == {"image": ("failed", "ContainerCannotStart")}


def test_policies_that_nobody_enforces() -> None:
    reached = {"open": True, "walled": True, "outside": True}
    assert "ingress and egress" in policy_finding(reached).cause
    assert policy_finding({**reached, "walled": False}).level == "warning"
    assert policy_finding({"open": True, "walled": False, "outside": False}).level == "ok"
    assert "could not be tried" in policy_finding({}).cause


def test_without_the_right_to_start_pods_it_is_a_warning() -> None:
    scene = Scene()
    scene.world.refusals["create", "batch/v1/jobs"] = Forbidden("Forbidden", "jobs is forbidden")
    assert scene.lines() == {"image": ("warning", "SiteUnhealthy")}
