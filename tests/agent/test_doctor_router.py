"""The router in the doctor's eyes."""

from ferryml.agent.doctor_router import router_findings
from kube_play import a_node


class Seen:
    def __init__(self, pods=(), nodes=1, service=None):
        self.pods, self.nodes, self.service = pods, nodes, service

    def list(self, kind, namespace="", selector=""):
        if kind == "v1/nodes":
            return [a_node(f"n{number}") for number in range(self.nodes)]
        assert (kind, namespace, selector) == ("v1/pods", "sys", "app.kubernetes.io/name=ferry-router")
        return self.pods

    def get(self, kind, name, namespace=""):
        assert (kind, name, namespace) == ("v1/services", "ferry-router", "sys")
        return self.service


def a_router(name, ready=True, message=""):
    condition = {"type": "Ready", "status": "True" if ready else "False", "message": message}
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


def found(**seen):
    return [(one.code, one.level, one.cause, one.fix) for one in router_findings(Seen(**seen), "sys")]


def test_all_is_well():
    ((code, level, _, _),) = found(pods=[a_router("r1")], service={"spec": {"type": "NodePort"}})
    assert (code, level) == ("Ok", "ok")


def test_endpoints_without_a_router():
    ((code, level, _, fix),) = found()
    assert (code, level) == ("SiteUnhealthy", "warning")
    assert "inference.enabled=true" in fix


def test_three_on_too_few_nodes_say_so_with_the_fix():
    pods = [a_router("r1"), a_router("r2"), a_router("r3", ready=False)]
    ((code, level, cause, fix),) = found(pods=pods, nodes=2)
    assert (code, level, cause) == (
        "ClusterTooSmall",
        "failed",
        "the router is to run on 3 nodes, and this cluster has 2",
    )
    assert "inference.router.replicas=1" in fix
    assert "E40002" in fix


def test_one_of_several_that_is_not_ready_is_a_warning_and_a_lone_one_a_failure():
    waiting = a_router("r2", ready=False, message="containers with unready status: [haproxy]")
    ((code, level, _, _),) = found(pods=[a_router("r1"), waiting], nodes=3)
    assert (code, level) == ("SiteUnhealthy", "warning")
    ((_, level, _, _),) = found(pods=[waiting], nodes=3)
    assert level == "failed"
    (finding,) = router_findings(Seen(pods=[waiting], nodes=3), "sys")
    assert "r2: containers with unready status" in finding.evidence


def test_a_load_balancer_that_never_comes():
    service = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}}
    _, (code, level, _, fix) = found(pods=[a_router("r1")], service=service)
    assert (code, level) == ("NotSupported", "warning")
    assert "E40001" in fix
    service["status"]["loadBalancer"]["ingress"] = [{"ip": "192.0.2.1"}]
    assert len(found(pods=[a_router("r1")], service=service)) == 1
