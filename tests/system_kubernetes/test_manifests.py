"""What compile makes is taken by a real API server: schemas, rules, Pod Security levels, strict field validation."""

import json

import pytest

from ferryml.backends.kubernetes.mljobs import body_of, status_body, status_of, wish_of
from ferryml.compile.environment import environment_order
from ferryml.compile.kubernetes.crds import definitions
from ferryml.compile.kubernetes.policies import namespace_policies
from ferryml.compile.kubernetes.preparation import Preparation, make_preparation
from ferryml.domain.link import Wish
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import Finding, JobStatus
from kubebox.places import KubeboxError
from pod_things import a_cluster, an_attempt, an_order

LIST = """
apiVersion: amlarc.azureml.com/v1alpha1
kind: InstanceTypeList
items:
  - metadata: {name: manifests-small}
    spec:
      resources: {requests: {cpu: 700m, memory: 1500Mi}, limits: {cpu: "1", memory: 2Gi, nvidia.com/gpu: null}}
  - metadata: {name: manifests-gpu}
    spec:
      nodeSelector: {mylabel: mylabelvalue}
      resources: {requests: {cpu: 700m, memory: 1500Mi}, limits: {cpu: 1, memory: 2Gi, nvidia.com/gpu: 1}}
"""
GOOD = {"cpu": "1", "memory": "2Gi"}


@pytest.fixture(scope="module")
def crds(clusters):
    cluster = clusters()
    everything = {"apiVersion": "v1", "kind": "List", "items": list(definitions().values())}
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", given=json.dumps(everything)
    )
    names = [f"crd/{crd['metadata']['name']}" for crd in definitions().values()]
    cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", *names)
    return cluster


def a_type(spec, group="ferryml.dev"):
    return {
        "apiVersion": f"{group}/v1alpha1", "kind": "InstanceType", "metadata": {"name": "manifests-x"}, "spec": spec,
    }  # fmt: skip


def tried(cluster, body):
    """What the API server would say to it."""
    return cluster.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(body), check=False
    )


def refused(cluster, body):
    with pytest.raises(KubeboxError) as caught:
        cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(body))
    return str(caught.value)


def test_a_list_of_types_applies_as_it_was_written_for_others(crds):
    crds.kubectl("apply", "-f", "-", given=LIST)
    try:
        shown = crds.kubectl("get", "instancetypes.amlarc.azureml.com")
        assert "manifests-small" in shown
        assert "manifests-gpu" in shown
    finally:
        crds.kubectl("delete", "-f", "-", given=LIST)


@pytest.mark.parametrize("group", ["ferryml.dev", "amlarc.azureml.com"])
def test_a_type_may_say_all_that_a_pod_can(crds, group):
    limits = {**GOOD, "nvidia.com/gpu": 0, "vendor.io/fpga": 2}
    spec = {
        "resources": {"requests": GOOD, "limits": limits}, "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "runtimeClassName": "x", "priorityClassName": "y",
    }  # fmt: skip
    assert "created" in tried(crds, a_type(spec, group))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"resources": {"requests": GOOD, "limits": {"cpu": "500m", "memory": "2Gi"}}}, "more than limits.cpu"),
        ({"resources": {"requests": {"cpu": "1"}, "limits": GOOD}}, "requests.memory: Required"),
        ({"resources": {"requests": {"cpu": "zero", "memory": "1Gi"}, "limits": GOOD}}, "cpu must be a quantity"),
        ({"resources": {"requests": {"cpu": 0, "memory": "1Gi"}, "limits": GOOD}}, "cpu must be a quantity"),
        ({"resources": {"requests": GOOD, "limits": GOOD}, "nodeSelectors": {}}, "unknown field"),
        ({}, "Required"),
    ],
)
def test_a_malformed_type_is_refused_by_the_cluster_itself(crds, spec, why):
    assert why in refused(crds, a_type(spec))


def test_a_wish_and_its_status_come_back_as_they_were_written(crds, namespace):
    order = an_order(namespace=namespace, instance_count=2, distribution={"type": "pytorch"})
    wish = Wish(uid="job.w.j", generation=3, cursor=7, order=order, grant="x.y.z")
    body = body_of(wish, namespace)
    crds.kubectl("create", "--validate=strict", "-f", "-", given=json.dumps(body))
    stored = StoredStatus(
        uid=wish.uid, generation=3, version=4, memory={"free": [1, {"x": 1.5}]},
        status=JobStatus(phase="Running", findings=(Finding(code="NodeLost", cause="c"),)),
    )  # fmt: skip
    said = {**body, "status": status_body(stored)}
    crds.kubectl("replace", "--subresource=status", "--validate=strict", "-f", "-", given=json.dumps(said))
    name = body["metadata"]["name"]
    held = json.loads(crds.kubectl("get", "mljob", name, "-n", namespace, "-o", "json"))
    assert (wish_of(held), status_of(held)) == (wish, stored)
    other = json.dumps({"spec": {"uid": "job.w.k"}})
    crds.kubectl("patch", "mljob", name, "-n", namespace, "--type=merge", "-p", other, check=False)
    held = json.loads(crds.kubectl("get", "mljob", name, "-n", namespace, "-o", "json"))
    assert held["spec"]["uid"] == "job.w.j"


@pytest.mark.parametrize(
    ("level", "admitted"), [("baseline", True), ("restricted", True), ("none-of-it", False)], ids=str
)
def test_pods_meet_the_level_that_the_namespace_enforces(cluster, namespace, level, admitted):
    knobs = {"pod_security": "restricted" if level == "restricted" else "baseline"}
    enforced = "baseline" if level == "baseline" else "restricted"
    cluster.kubectl("label", "ns", namespace, f"pod-security.kubernetes.io/enforce={enforced}")
    place = {"datastore": "d", "kind": "kubernetes_pvc", "root": "c"}
    job = an_attempt(a_cluster(**knobs), inputs={"a": {"type": "uri_folder", "place": place}}).job
    order = environment_order(image="x", pip_requirements=["a"])
    making = make_preparation(Preparation(order), a_cluster(**knobs)).job
    for number, body in enumerate((job, making)):
        spec = {**body["spec"]["template"]["spec"], "serviceAccountName": "default"}
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}", "namespace": namespace}, "spec": spec,
        }  # fmt: skip
        if admitted:
            assert "created" in tried(cluster, pod)
        else:
            assert "violates PodSecurity" in refused(cluster, pod)


def test_every_object_of_an_attempt_is_understood_to_the_last_field(cluster, namespace):
    made = an_attempt(
        a_cluster(kubernetes=(1, 34)), instance_count=3, residency={"zones": ["eu"]},
        distribution={"type": "tensorflow", "parameter_server_count": 1},
    )  # fmt: skip
    for body in (*made.objects, *namespace_policies(namespace, a_cluster())):
        placed = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
        assert "created" in tried(cluster, placed)
