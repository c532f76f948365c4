"""The probe's objects keep the rules that they are to prove."""

from ferryml.compile.kubernetes.cluster import cluster_of
from ferryml.compile.kubernetes.doctor import (
    ASKER,
    CLIENT,
    OPEN,
    ROLE,
    SERVER,
    WALLED,
    client_job,
    policies,
    server_job,
)

CLUSTER = cluster_of({"image_pull_secrets": "reg", "runner_image": "r:1"}, gateway_url="", ca="", main_sh="")


def test_pods_are_small_restricted_and_end_by_themselves():
    body = server_job(OPEN, CLUSTER, ("a.b",))
    assert body["spec"]["activeDeadlineSeconds"] <= 300
    pod = body["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "r:1"
    assert container["command"][-1] == "a.b"
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert pod["imagePullSecrets"] == [{"name": "reg"}]


def test_each_role_has_its_policy():
    rules = {body["spec"]["podSelector"]["matchLabels"][ROLE]: body["spec"] for body in policies("ns")}
    assert rules[OPEN]["ingress"] == [{}]
    assert rules[WALLED]["ingress"] == []
    assert "Egress" in rules[CLIENT]["policyTypes"]


def test_the_programs_are_python():
    for text in (SERVER, ASKER):
        compile(text, "probe", "exec")
    assert client_job(CLUSTER, "1.1.1.1", "2.2.2.2")["spec"]["template"]["spec"]["containers"][0]["command"][-2:] == [
        "1.1.1.1", "2.2.2.2",
    ]  # fmt: skip
