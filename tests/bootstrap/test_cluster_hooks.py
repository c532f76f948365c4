"""Hooks of the charts: definitions come, and an end leaves nothing behind."""

import pytest

from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, CRDS, DEPLOYMENTS, JOBS, ML_JOBS, NETWORK_POLICIES, PODS
from ferryml.bootstrap.cluster_hooks import FOREIGN, Removal, define, main
from ferryml.compile.install.access import OUR_DEFINITIONS
from ferryml.compile.kubernetes.crds import definitions
from ferryml.domain.errors import Forbidden, Unavailable
from kube_play import PlayKube

MANAGED = {"app.kubernetes.io/managed-by": "ferry"}


def thing(kind, name, namespace="", labels=MANAGED):
    place = {"namespace": namespace} if kind.namespaced else {}
    return {
        "apiVersion": kind.api_version, "kind": kind.kind,
        "metadata": {"name": name, **place, "labels": dict(labels)}, "spec": {},
    }  # fmt: skip


class StubbornPods(PlayKube):
    """Pods that end only when they are ended without grace."""

    def delete(self, kind, namespace, name, propagation="Background", grace_s=None, uid=""):
        if kind is PODS and grace_s != 0:
            return True
        return super().delete(kind, namespace, name, propagation, grace_s, uid)


class Blind(PlayKube):
    """May not look into one namespace: it is gone, and its RoleBinding with it."""

    def list(self, kind, namespace="", labels="", fields=""):
        if namespace == "gone":
            raise Forbidden("ClusterForbidden", "you cannot list in gone")
        return super().list(kind, namespace, labels, fields)


@pytest.fixture
def said():
    return []


def names(kube, kind, namespace=""):
    return {body["metadata"]["name"] for body in kube.list(kind, namespace).items}


def a_cluster(kube):
    kube.write(thing(DEPLOYMENTS, "ferry-agent", "sys", {}))
    for namespace in ("sys", "team"):
        for kind in (ML_JOBS, JOBS, CONFIG_MAPS, NETWORK_POLICIES, PODS):
            kube.write(thing(kind, f"of-ferry-{namespace}", namespace))
            kube.write(thing(kind, "of-others", namespace, {"app": "x"}))
        kube.write(thing(ML_JOBS, "by-hand", namespace, {}))
    kube.write(thing(PODS, "ferry-agent-1", "sys", {"app.kubernetes.io/name": "ferry-agent"}))
    kube.write(thing(JOBS, "elsewhere", "other"))
    for body in definitions().values():
        kube.write(body)
    return kube


def test_definitions_are_made_and_renewed(said):
    kube = PlayKube()
    for _ in range(2):
        define(kube, definitions().values(), said.append)
    assert names(kube, CRDS) == {*FOREIGN, *OUR_DEFINITIONS}
    assert said[-1] == f"{FOREIGN[0]} is here already and stays as it is"


def test_somebody_elses_definition_stays_as_it_is(said):
    kube = PlayKube()
    kube.write({**thing(CRDS, FOREIGN[0], labels={"theirs": "yes"})})
    define(kube, definitions().values(), said.append)
    assert kube.get(CRDS, "", FOREIGN[0])["metadata"]["labels"] == {"theirs": "yes"}


def test_the_end_takes_what_is_ferrys_and_nothing_else(said):
    kube = a_cluster(PlayKube())
    Removal(kube, "sys", ("team",), said.append, wait=lambda s: None).run()
    for kind in (JOBS, CONFIG_MAPS, NETWORK_POLICIES, PODS):
        assert names(kube, kind, "team") == {"of-others"}
    assert names(kube, ML_JOBS) == set()
    assert names(kube, JOBS, "other") == {"elsewhere"}
    assert kube.get(DEPLOYMENTS, "sys", "ferry-agent")["spec"]["replicas"] == 0
    assert names(kube, PODS, "sys") == {"of-others"}
    assert names(kube, CRDS) == {*FOREIGN, *OUR_DEFINITIONS}


def test_what_was_installed_stays_for_whoever_installed_it(said):
    kube = a_cluster(PlayKube())
    kube.write(thing(CONFIG_MAPS, "ferry-cursor", "sys", {**MANAGED, "app.kubernetes.io/part-of": "ferry"}))
    Removal(kube, "sys", ("team",), said.append, wait=lambda s: None).run()
    assert "ferry-cursor" in names(kube, CONFIG_MAPS, "sys")


def test_the_agent_stops_before_anything_is_taken(said):
    kube = a_cluster(PlayKube())
    Removal(kube, "sys", ("team",), said.append, wait=lambda s: None).run()
    verbs = [(verb, kind) for verb, kind, _ in kube.log]
    assert verbs[0] == ("patch", "Deployment")
    assert verbs[1] == ("delete", "Pod")


def test_everywhere_in_cluster_wide_mode(said):
    kube = a_cluster(PlayKube())
    Removal(kube, "sys", (), said.append, wait=lambda s: None).run()
    assert names(kube, JOBS) == {"of-others"}


def test_pods_that_do_not_end_are_ended(said):
    kube, waits = a_cluster(StubbornPods()), []
    Removal(kube, "sys", ("team",), said.append, wait=waits.append, patience_s=2).run()
    assert names(kube, PODS, "team") == {"of-others"}
    assert any("did not end in time" in line for line in said)
    assert sum(waits) == 4


def test_a_namespace_that_is_gone_does_not_stand_in_the_way(said):
    kube = a_cluster(Blind())
    Removal(kube, "sys", ("gone", "team"), said.append, wait=lambda s: None).run()
    assert names(kube, JOBS, "team") == {"of-others"}


def test_ending_twice_is_harmless(said):
    kube = PlayKube()
    for _ in range(2):
        Removal(kube, "sys", ("team",), said.append, wait=lambda s: None).run(purge=True)


def test_purge_takes_our_definitions_and_leaves_the_foreign_one(said):
    kube = a_cluster(PlayKube())
    Removal(kube, "sys", ("team",), said.append, wait=lambda s: None).run(purge=True)
    assert names(kube, CRDS) == set(FOREIGN)


def test_as_a_program(capsys):
    kube = a_cluster(PlayKube())
    assert main(["definitions"], kube) == 0
    assert main(["remove", "--system", "sys", "--namespaces", "team", "--purge"], kube) == 0
    assert names(kube, CRDS) == set(FOREIGN)
    kube.refusals["apply", "CustomResourceDefinition"] = Unavailable("ClusterUnreachable", "no answer")
    assert main(["definitions"], kube) == 1
    assert "ClusterUnreachable" in capsys.readouterr().err
