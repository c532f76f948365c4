"""Who may do what: small, by name, and only where it was given."""

import pytest

from ferryml.agent.doctor import CLUSTER_NEEDS, DEFINITIONS, NEEDS, SYSTEM_NEEDS
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, DEPLOYMENTS, JOBS, ML_JOBS, ONLINE_ENDPOINTS, PODS
from ferryml.compile.install.access import SERVED, access, accounts, rule, work_namespaces
from ferryml.compile.install.values import AgentValues
from ferryml.domain.errors import Refused

VALUES = AgentValues(namespaces=("team-a", "team-b"))


def named(kind, values=VALUES):
    return [body for body in access(values, "sys") if body["kind"] == kind]


def test_each_program_reads_exactly_its_own_secrets():
    for role in named("Role"):
        rules = [one for one in role["rules"] if "secrets" in one["resources"]]
        names = {name for one in rules for name in one["resourceNames"]}
        assert names == {
            "ferry-agent": {"ferry-agent-key", "ferry-join"}, "ferry-gateway": {"ferry-gateway-key"},
        }[role["metadata"]["name"]]  # fmt: skip
    for role in named("ClusterRole"):
        assert not any({"secrets", "*"} & {*one["resources"], *one["verbs"]} for one in role["rules"])


def test_secrets_of_datastores_are_the_gateways_alone():
    values = AgentValues.model_validate({"gateway": {"secrets": ["nfs"]}})
    readers = [role for role in named("Role", values) if "'nfs'" in str(role)]
    assert [role["metadata"]["name"] for role in readers] == ["ferry-gateway"]


def test_one_binding_for_each_namespace():
    bound = {body["metadata"]["namespace"] for body in named("RoleBinding") if body["roleRef"]["name"] == "sys-work"}
    assert bound == {"ferry-environments", "team-a", "team-b"} == set(work_namespaces(VALUES, "sys"))
    wide = {body["roleRef"]["name"] for body in named("ClusterRoleBinding")}
    assert wide == {"sys-cluster", "sys-gateway"}


def test_the_whole_cluster_only_when_asked_for():
    values = AgentValues(cluster_wide=True)
    assert {body["roleRef"]["name"] for body in named("ClusterRoleBinding", values)} >= {"sys-work"}
    assert not [body for body in named("RoleBinding", values) if body["roleRef"]["kind"] == "ClusterRole"]
    assert "namespaces" in str(named("ClusterRole", values)[0])
    assert "namespaces" not in str(named("ClusterRole")[0])


def test_no_pod_can_be_made_beside_the_keys():
    own = next(role for role in named("Role") if role["metadata"]["name"] == "ferry-agent")
    makes = {what for one in own["rules"] if {"create", "patch", "*"} & set(one["verbs"]) for what in one["resources"]}
    assert makes == {*SERVED["resources"], "mljobs", "mljobs/status", "configmaps", "secrets", "leases"}
    for wrong in ({"namespaces": ["team-a", "sys"]}, {"environments": {"namespace": "sys"}, "clusterWide": True}):
        with pytest.raises(Refused, match="holds the keys"):
            access(AgentValues.model_validate(wrong), "sys")


def test_nothing_cluster_wide_can_be_written():
    cluster = named("ClusterRole")[0]
    assert {verb for one in cluster["rules"] for verb in one["verbs"]} <= {"get", "list", "watch"}


@pytest.mark.parametrize("account", ["ferry-agent", "ferry-gateway", "ferry-preparation"])
def test_three_accounts_of_which_one_may_nothing(account):
    made = {body["metadata"]["name"]: body for body in accounts(VALUES, "sys")}[account]
    subjects = [s["name"] for body in access(VALUES, "sys") for s in body.get("subjects", ())]
    assert (account in subjects) == (account != "ferry-preparation")
    assert made.get("automountServiceAccountToken", True) == (account != "ferry-preparation")


def test_the_doctor_finds_every_right_it_asks_for():
    def granted(rules, need):
        group, resource, verb = need
        return any(group in r["apiGroups"] and resource in r["resources"] and verb in r["verbs"] for r in rules)

    cluster, work = (role["rules"] for role in named("ClusterRole")[:2])
    assert all(granted(cluster, need) for need in CLUSTER_NEEDS)
    assert all(granted(work, need) for need in NEEDS)
    own = next(role["rules"] for role in named("Role") if role["metadata"]["name"] == "ferry-agent")
    assert all(granted(own, need) for need in SYSTEM_NEEDS)
    (definitions,) = [one for one in cluster if "customresourcedefinitions" in one["resources"]]
    assert set(definitions["resourceNames"]) == set(DEFINITIONS)


def test_a_rule_may_name_objects():
    assert rule("", ("secrets",), ("get",), ("a",))["resourceNames"] == ["a"]
    assert "resourceNames" not in rule("", ("pods",), ("get",))


def test_what_the_agent_watches_it_may_see_beside_its_programs_too():
    """One list that is refused keeps the whole agent from starting."""
    own = next(role["rules"] for role in named("Role") if role["metadata"]["name"] == "ferry-agent")
    seen = {(g, what) for one in own if "watch" in one["verbs"] for g in one["apiGroups"] for what in one["resources"]}
    for kind in (JOBS, PODS, DEPLOYMENTS, ML_JOBS, ONLINE_ENDPOINTS, CONFIG_MAPS):
        assert (kind.group, kind.plural) in seen, kind


def test_builds_have_a_namespace_of_their_own_and_an_account_that_may_nothing():
    values = AgentValues.model_validate({"builds": {"registry": "r.io/x", "networks": ["10.0.0.0/8"]}})
    assert work_namespaces(values, "sys") == ("ferry-environments", "ferry-builds", "default")
    account = {body["metadata"]["name"]: body for body in accounts(values, "sys")}["ferry-build"]
    assert account["automountServiceAccountToken"] is False
    assert "ferry-build" not in {s["name"] for body in access(values, "sys") for s in body.get("subjects", ())}
    for wrong in ("sys", "default", "ferry-environments"):
        shared = values.model_copy(update={"builds": values.builds.model_copy(update={"namespace": wrong})})
        with pytest.raises(Refused):
            work_namespaces(shared, "sys")
