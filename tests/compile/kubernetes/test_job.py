import json

import pytest

from ferryml.compile.kubernetes.plan import Archive
from ferryml.domain.errors import Refused
from ferryml.domain.instance_types import read
from pod_things import a_cluster, an_attempt

NFS = {"datastore": "nas", "kind": "nfs", "root": "nas:/x", "path": "d"}
CLAIM = {
    "metadata": {
        "name": "c", "labels": {"ml.azure.com/pvc": "true"}, "annotations": {"ml.azure.com/mountpath": "/mnt/c"},
    },
    "spec": {"accessModes": ["ReadWriteMany"]},
}  # fmt: skip


def a_type(**spec):
    amounts = {"cpu": "1", "memory": "2Gi"}
    resources = {"requests": amounts, "limits": {**amounts, "nvidia.com/gpu": 1}}
    return read({"metadata": {"name": "gpu"}, "spec": {"resources": resources, **spec}})[0]


def pod(made):
    return made.job["spec"]["template"]["spec"]


def main(made):
    return pod(made)["containers"][0]


def kinds(made):
    return [body["kind"] for body in made.objects]


def test_one_instance_is_a_config_map_and_a_job():
    made = an_attempt()
    assert kinds(made) == ["ConfigMap", "Job"]
    spec = made.job["spec"]
    assert (spec["completions"], spec["backoffLimit"], spec["suspend"]) == (1, 0, False)
    assert (spec["completionMode"], spec["podReplacementPolicy"]) == ("Indexed", "Failed")
    assert pod(made)["restartPolicy"] == "Never"


def test_several_instances_have_names_and_start_together():
    made = an_attempt(instance_count=3)
    assert kinds(made) == ["ConfigMap", "Service", "NetworkPolicy", "Job"]
    service, job = made.objects[1], made.job
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert pod(made)["subdomain"] == service["metadata"]["name"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert job["spec"]["suspend"] is True
    assert job["spec"]["parallelism"] == 3


def test_all_objects_say_whose_they_are():
    for body in an_attempt(instance_count=2).objects:
        assert body["metadata"]["annotations"]["ferryml.dev/uid"] == "job.w.j"
        assert body["metadata"]["labels"]["ferryml.dev/workspace"] == "w"
        assert body["metadata"]["namespace"] == "team"


def test_the_plan_lies_in_the_config_map():
    made = an_attempt(a_cluster(main_sh="#!/bin/sh\nexit 3\n", ca="PEM"))
    data = made.objects[0]["data"]
    assert json.loads(data["job.json"]) == made.plan
    assert (data["main.sh"], data["ca.pem"]) == ("#!/bin/sh\nexit 3\n", "PEM")
    assert made.objects[0]["immutable"] is True


def test_a_plan_beyond_what_a_cluster_takes_is_refused():
    with pytest.raises(Refused) as caught:
        an_attempt(command="x" * 1_000_000)
    assert caught.value.code == "LimitExceeded"


def test_the_users_container_starts_our_script_in_the_code_folder():
    made = an_attempt()
    assert main(made)["command"] == ["/bin/sh", "/ferry-plan/main.sh"]
    assert main(made)["workingDir"] == "/ferry/job/code"
    assert "args" not in main(made)


def test_the_users_container_sees_neither_token_nor_credentials():
    made = an_attempt()
    assert "token" not in {mount["name"] for mount in main(made)["volumeMounts"]}
    assert pod(made)["automountServiceAccountToken"] is False


def test_containers_start_in_order():
    made = an_attempt()
    assert [each["name"] for each in pod(made)["initContainers"]] == ["stage", "collect"]
    assert [each["name"] for each in pod(made)["containers"]] == ["main"]


def test_the_instance_type_decides_where_and_how_much():
    kind = a_type(
        nodeSelector={"pool": "gpu"}, tolerations=[{"key": "gpu", "operator": "Exists"}],
        affinity={"podAntiAffinity": {}}, runtimeClassName="nvidia", priorityClassName="high",
    )  # fmt: skip
    made = an_attempt(a_cluster(workload_node_selector_json='{"zone": "a"}'), kind)
    assert main(made)["resources"] == {
        "requests": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"},
        "limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"},
    }
    assert pod(made)["nodeSelector"] == {"zone": "a", "pool": "gpu"}
    assert pod(made)["tolerations"].count({"key": "gpu", "operator": "Exists"}) == 1
    assert (pod(made)["runtimeClassName"], pod(made)["priorityClassName"]) == ("nvidia", "high")
    assert pod(made)["affinity"] == {"podAntiAffinity": {}}


def test_a_type_for_nodes_that_the_site_does_not_use_is_refused():
    with pytest.raises(Refused, match="pool=a only") as caught:
        an_attempt(a_cluster(workload_node_selector_json='{"pool": "a"}'), a_type(nodeSelector={"pool": "b"}))
    assert caught.value.code == "InvalidInstanceType"


def test_data_is_mounted_into_all_containers_and_labelled_claims_into_one():
    made = an_attempt(claims=[CLAIM], inputs={"a": {"type": "uri_folder", "place": NFS}})
    seen = {
        each["name"]: {mount["mountPath"] for mount in each["volumeMounts"]}
        for each in (*pod(made)["initContainers"], main(made))
    }
    assert all("/ferry-data/ro/nas" in paths for paths in seen.values())
    assert [name for name, paths in seen.items() if "/mnt/c" in paths] == ["main"]


def test_what_was_left_out_is_noted_on_the_job():
    clash = {**CLAIM, "metadata": {**CLAIM["metadata"], "name": "d"}}
    made = an_attempt(claims=[CLAIM, clash])
    assert made.notes == ("claim d is not mounted: /mnt/c is taken by claim c",)
    assert made.plan["notes"] == list(made.notes)


def test_the_volumes_of_a_pod_have_names_of_their_own():
    made = an_attempt(claims=[CLAIM], inputs={"a": {"type": "uri_folder", "place": NFS}}, shm_size="64m")
    names = [volume["name"] for volume in pod(made)["volumes"]]
    assert len(names) == len(set(names))
    mounted = {mount["name"] for each in (*pod(made)["initContainers"], main(made)) for mount in each["volumeMounts"]}
    assert mounted <= set(names)


def test_kueue_gets_its_queue_and_starts_the_job():
    cluster = a_cluster(gang="kueue", kueue_queue="team")
    made = an_attempt(cluster, labels={"kueue.x-k8s.io/priority-class": "high"})
    labels = made.job["metadata"]["labels"]
    assert (labels["kueue.x-k8s.io/queue-name"], labels["kueue.x-k8s.io/priority-class"]) == ("team", "high")
    assert made.job["spec"]["suspend"] is True
    assert "kueue.x-k8s.io/queue-name" not in an_attempt().job["metadata"]["labels"]


def test_scheduler_priority_and_pull_secret_pass_through():
    made = an_attempt(a_cluster(scheduler_name="volcano", priority_class="low", image_pull_secrets="reg"))
    assert (pod(made)["schedulerName"], pod(made)["priorityClassName"]) == ("volcano", "low")
    assert pod(made)["imagePullSecrets"] == [{"name": "reg"}]


def test_parameter_servers_do_not_hold_up_the_end_where_the_cluster_can_tell():
    order = {"instance_count": 3, "distribution": {"type": "tensorflow", "parameter_server_count": 1}}
    made = an_attempt(a_cluster(kubernetes=(1, 31)), **order)
    assert made.job["spec"]["successPolicy"] == {"rules": [{"succeededIndexes": "0-1", "succeededCount": 2}]}
    assert "successPolicy" not in an_attempt(a_cluster(kubernetes=(1, 30)), **order).job["spec"]


def test_work_with_bound_data_is_marked_for_its_policy():
    made = an_attempt(residency={"zones": ["eu"]})
    assert made.job["spec"]["template"]["metadata"]["labels"]["ferryml.dev/bound"] == "true"


def test_pods_have_time_to_hand_over():
    assert pod(an_attempt(a_cluster(cancel_grace_s=20)))["terminationGracePeriodSeconds"] == 50


def test_an_environment_is_brought_only_when_there_is_one():
    assert an_attempt().plan["environment"] is None
    assert an_attempt(environment=Archive("sha256:" + "b" * 64, 1)).plan["path"] == ["/ferry/env/bin"]
