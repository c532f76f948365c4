"""Where callers reach the router, for each way a Service may be exposed."""

import pytest

from ferryml.backends.kubernetes.router_address import scoring_url

NODES = [
    {"status": {"addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.9"}]}},
    {"status": {"addresses": [{"type": "ExternalIP", "address": "192.0.2.7"}]}},
]


def a_service(kind="ClusterIP", port=443, name="https", node_port=0, ingress=(), cname=""):
    ports = [{"name": name, "port": port, "nodePort": node_port}]
    return {
        "metadata": {"namespace": "sys", "annotations": {"ferryml.dev/cname": cname} if cname else {}},
        "spec": {"type": kind, "ports": ports},
        "status": {"loadBalancer": {"ingress": list(ingress)}},
    }


@pytest.mark.parametrize(
    ("service", "url"),
    [
        (a_service(), "https://ferry-router.sys.svc"),
        (a_service(name="http", port=80), "http://ferry-router.sys.svc"),
        (a_service(name="http", port=8080), "http://ferry-router.sys.svc:8080"),
        (a_service(cname="score.example"), "https://score.example"),
        (a_service("LoadBalancer"), "https://ferry-router.sys.svc"),
        (a_service("LoadBalancer", ingress=[{"ip": "192.0.2.1"}]), "https://192.0.2.1"),
        (a_service("LoadBalancer", ingress=[{"ip": "2001:db8::1"}]), "https://[2001:db8::1]"),
        (a_service("LoadBalancer", ingress=[{"hostname": "lb.example"}], port=8443), "https://lb.example:8443"),
        (a_service("LoadBalancer", ingress=[{"ip": "192.0.2.1"}], cname="score.example"), "https://score.example"),
        (a_service("NodePort", node_port=30443), "https://192.0.2.7:30443"),
        (a_service("NodePort", node_port=30443, cname="score.example"), "https://score.example:30443"),
    ],
)
def test_the_address_that_callers_use(service, url):
    assert scoring_url(service, NODES) == url


def test_nodes_without_an_outer_address_are_reached_at_their_inner_one():
    assert scoring_url(a_service("NodePort", node_port=30443), NODES[:1]) == "https://10.0.0.9:30443"
    assert scoring_url(a_service("NodePort", node_port=30443), ()) == "https://ferry-router.sys.svc:30443"
