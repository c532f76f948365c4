import pytest

from ferryml.compile.install.policies import policies as system_policies
from ferryml.compile.install.values import AgentValues
from ferryml.compile.kubernetes.labels import labels_of
from ferryml.compile.kubernetes.policies import namespace_policies, ranks_policy, serving_policies
from ferryml.compile.kubernetes.reachability import Peer, allows
from pod_things import a_cluster, an_attempt

GATEWAY = Peer("ferry-system", {"app.kubernetes.io/name": "ferry-gateway"})
AGENT = Peer("ferry-system", {"app.kubernetes.io/name": "ferry-agent"})
DNS = Peer("kube-system", {"k8s-app": "kube-dns"})
INTERNET = Peer(ip="93.184.216.34")
MASTER = 6105


def a_pod(uid="job.w.j", attempt=1, namespace="team", bound=False):
    return Peer(namespace, labels_of("job", uid, attempt, "w", "c", bound))


def policies(*pods, **knobs):
    """Everything that is applied for these pods, as distributed jobs."""
    cluster = a_cluster(**knobs)
    found = system_policies(AgentValues(), "ferry-system")
    for namespace in {pod.namespace for pod in pods}:
        found += namespace_policies(namespace, cluster)
    return found + [ranks_policy({"namespace": pod.namespace, "labels": pod.labels}) for pod in pods]


ROUTER = Peer("ferry-system", {"app.kubernetes.io/name": "ferry-router"})


def a_server(uid="endpoint.w.e", bound=False):
    return Peer("team", labels_of("endpoint", uid, 1, "w", "c", bound))


def test_only_the_router_calls_what_serves():
    known = serving_policies("team", a_cluster())
    assert allows(known, ROUTER, a_server(), 5001)
    others = (a_server("endpoint.w.other"), a_pod(), GATEWAY, INTERNET, Peer("team", dict(ROUTER.labels)))
    assert not any(allows(known, other, a_server(), 5001) for other in others)


def test_what_serves_bound_models_finds_no_way_out():
    known = serving_policies("team", a_cluster())
    assert allows(known, a_server(), INTERNET, 443)
    assert not allows(known, a_server(bound=True), INTERNET, 443)
    assert allows(known, a_server(bound=True), GATEWAY, 8443)
    closed = serving_policies("team", a_cluster(egress="gateway"))
    assert not allows(closed, a_server(), INTERNET, 443)
    assert serving_policies("team", a_cluster(network_policies=False)) == []


def test_ranks_of_one_attempt_talk_on_any_port():
    known = policies(a_pod())
    assert all(allows(known, a_pod(), a_pod(), port) for port in (22, MASTER, 65_000))


@pytest.mark.parametrize(
    "other",
    [
        a_pod("job.w.other"), a_pod(attempt=2), a_pod(namespace="other"), a_pod("job.w2.j"), Peer("team", {}),
        Peer("default", {"app.kubernetes.io/managed-by": "ferry"}), INTERNET,
    ],
)  # fmt: skip
def test_nobody_else_reaches_a_rank(other):
    mine = a_pod()
    known = policies(mine, *[other] if "ferryml.dev/uid" in other.labels else [])
    assert not allows(known, other, mine, MASTER)


@pytest.mark.parametrize("bound", [False, True])
def test_a_job_of_one_pod_is_closed_too(bound):
    known = namespace_policies("team", a_cluster())
    assert not allows(known, a_pod("job.w.other"), a_pod(bound=bound), 80)


@pytest.mark.parametrize("bound", [False, True])
def test_every_job_reaches_gateway_and_names(bound):
    pod = a_pod(bound=bound)
    known = policies(pod)
    assert allows(known, pod, GATEWAY, 8443)
    assert allows(known, pod, DNS, 53, "UDP")


def test_no_job_reaches_the_agent():
    assert not allows(policies(a_pod()), a_pod(), AGENT, 8470)


def test_bound_work_has_no_other_way_out():
    pod = a_pod(bound=True)
    known = policies(pod)
    assert not allows(known, pod, INTERNET, 443)
    assert not allows(known, pod, Peer("ferry-system", {"app": "other"}), 8443)
    assert not allows(known, pod, DNS, 443)
    assert not allows(known, pod, a_pod("job.w.other"), MASTER)
    assert allows(known, pod, pod, MASTER)


def test_unbound_work_goes_out_unless_the_site_forbids_it():
    pod = a_pod()
    assert allows(policies(pod), pod, INTERNET, 443)
    assert not allows(policies(pod, egress="gateway"), pod, INTERNET, 443)


def test_a_site_without_policies_of_its_own_has_none():
    assert namespace_policies("team", a_cluster(network_policies=False)) == []
    assert "NetworkPolicy" not in {
        body["kind"] for body in an_attempt(a_cluster(network_policies=False), instance_count=2).objects
    }


def test_the_policy_of_ranks_goes_with_its_job():
    made = an_attempt(instance_count=2)
    policy = next(body for body in made.objects if body["kind"] == "NetworkPolicy")
    assert policy["metadata"] == {**made.job["metadata"], "labels": policy["metadata"]["labels"]}
