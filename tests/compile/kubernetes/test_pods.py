from ferryml.compile.kubernetes.pods import (
    Owner,
    own_container,
    own_security,
    pod_security,
    sidecar,
    tolerations,
    user_security,
    volumes,
)
from pod_things import a_cluster


def test_our_containers_meet_the_restricted_level():
    made = own_security(a_cluster())
    assert (made["runAsNonRoot"], made["runAsUser"], made["readOnlyRootFilesystem"]) == (True, 65532, True)
    assert made["allowPrivilegeEscalation"] is False
    assert made["capabilities"] == {"drop": ["ALL"]}
    assert made["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_cluster_may_choose_the_user_itself():
    cluster = a_cluster(run_as_user=0)
    assert "runAsUser" not in own_security(cluster)
    assert "fsGroup" not in pod_security(cluster)


def test_the_users_container_is_held_to_the_level_of_the_site():
    assert user_security(a_cluster()) == {"allowPrivilegeEscalation": False}
    assert user_security(a_cluster(pod_security="restricted"))["runAsNonRoot"] is True


def test_stage_ends_and_collect_stays():
    assert "restartPolicy" not in own_container("stage", "stage", a_cluster(), ())
    made = sidecar(a_cluster(), ())
    assert (made["restartPolicy"], made["command"][3]) == ("Always", "collect")
    assert made["startupProbe"]["exec"]["command"][-1] == "ready"


def test_only_our_containers_have_the_token():
    assert any(mount["name"] == "token" for mount in own_container("stage", "stage", a_cluster(), ())["volumeMounts"])
    token = next(volume for volume in volumes("x", "1Gi", None) if volume["name"] == "token")
    source = token["projected"]["sources"][0]["serviceAccountToken"]
    assert (source["audience"], source["expirationSeconds"]) == ("ferry-gateway", 3600)


def test_shared_memory_is_there_when_asked_for():
    assert [volume["name"] for volume in volumes("x", "", None)] == ["ferry", "plan", "token", "tmp"]
    assert volumes("x", "2Gi", None)[-1]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}


def test_the_fixed_taints_are_tolerated():
    made = tolerations(a_cluster(), "_team", "c", [{"key": "gpu", "operator": "Exists"}])
    assert {item["key"]: item.get("value") for item in made} == {
        "ml.azure.com/amlarc": "true", "ml.azure.com/amlarc-workload": "true", "ml.azure.com/compute": "c",
        "ml.azure.com/resource-group": made[2]["value"], "ml.azure.com/workspace": made[2]["value"],
        "node.kubernetes.io/not-ready": None, "node.kubernetes.io/unreachable": None, "gpu": None,
    }  # fmt: skip
    assert not any("effect" in item for item in made if item["key"].startswith("ml.azure.com"))


def test_how_long_a_silent_node_is_waited_for_is_said_once():
    own = '[{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}]'
    made = tolerations(a_cluster(node_lost_s=7, workload_tolerations_json=own), "", "")
    lost = [item for item in made if item["key"].startswith("node.kubernetes.io")]
    assert [(item["key"].split("/")[1], item.get("tolerationSeconds")) for item in lost] == [
        ("unreachable", None), ("not-ready", 7),
    ]  # fmt: skip


def test_an_owner_takes_its_objects_along():
    made = Owner("MLJob", "j", "u-1").references()[0]
    assert (made["kind"], made["uid"], made["blockOwnerDeletion"]) == ("MLJob", "u-1", False)
