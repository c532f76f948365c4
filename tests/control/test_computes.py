"""Computes: attached only to what is there, changed only where it can take effect."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import computes, detaching, jobs, sites, workspaces
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from site_answers import a_cluster, a_finding, answering, told
from site_answers import attach as attach_cluster

DAN = Caller("dan", "data-scientist", WORKSPACE)
KUBERNETES = {"type": "kubernetes", "name": "kk", "resource_id": "site:cloud"}


def attach(play, **document):
    return computes.attach(play.deps, OWNER, WORKSPACE, {"type": "local", **document})


def test_succeeded_means_that_the_site_has_joined(play):
    sites.create(play.deps, OWNER, "later")
    assert attach(play, name="cc", site="later")["provisioning_state"] == "Creating"
    play.site()
    assert computes.show(play.deps, OWNER, WORKSPACE, "c1")["provisioning_state"] == "Succeeded"


def test_the_site_is_found_by_name_too(play):
    sites.create(play.deps, OWNER, "edge")
    assert attach(play, name="edge")["site"] == "edge"


@pytest.mark.parametrize("document", [{"name": "c", "site": "none"}, {"name": "nowhere"}, KUBERNETES])
def test_what_is_not_there_or_of_another_kind_is_refused(play, document):
    play.site()
    with pytest.raises(Refused) as caught:
        attach(play, **document)
    assert caught.value.hint


def test_resource_ids_of_az_name_the_site(play):
    sites.create(play.deps, OWNER, "plant")
    ident = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/Plant"
    document = {"type": "Kubernetes", "name": "kk", "resource_id": ident}
    assert computes.attach(play.deps, OWNER, WORKSPACE, document)["site"] == "plant"


def test_instance_types_are_those_of_the_site(play):
    play.site()
    play.beat("cloud", instance_types={"gpu": {"resources": {}}})
    assert set(computes.show(play.deps, OWNER, WORKSPACE, "c1")["instance_types"]) == {"defaultinstancetype", "gpu"}


def test_update_works_or_says_no(play):
    play.site()
    assert computes.update(play.deps, OWNER, WORKSPACE, "c1", {"description": "d"})["description"] == "d"
    with pytest.raises(Refused):
        computes.update(play.deps, OWNER, WORKSPACE, "c1", {"site": "other"})


def test_detach_waits_for_work(play):
    play.site()
    name = play.running()
    with pytest.raises(Conflict):
        detaching.detach(play.deps, OWNER, WORKSPACE, "c1")
    jobs.cancel(play.deps, OWNER, WORKSPACE, name)
    play.reports("cloud", name, "Canceled", 5)
    play.turns()
    detaching.detach(play.deps, OWNER, WORKSPACE, "c1")
    assert computes.list_computes(play.deps, OWNER, WORKSPACE) == []
    with pytest.raises(NotFound):
        detaching.detach(play.deps, OWNER, WORKSPACE, "c1")


def test_data_scientists_do_not_attach(play):
    sites.create(play.deps, OWNER, "edge")
    with pytest.raises(Forbidden):
        computes.attach(
            play.deps, Caller("d", "data-scientist", WORKSPACE), WORKSPACE, {"type": "local", "name": "edge"}
        )


def test_names_are_used_once(play):
    play.site()
    with pytest.raises(Conflict):
        attach(play, name="c1", site="cloud")


def test_attach_refuses_what_keeps_work_from_running_and_takes_warnings(play):
    a_cluster(play, doctor=[a_finding()])
    with pytest.raises(Refused) as caught:
        attach_cluster(play)
    assert (caught.value.code, caught.value.hint) == ("SiteUnhealthy", "mend coredns")
    told(play, "kube", doctor=[a_finding("warning")])
    assert attach_cluster(play)["provisioning_state"] == "Succeeded"


def test_a_missing_namespace_is_refused_with_the_command_that_makes_it(play):
    a_cluster(play)
    with pytest.raises(Refused) as caught:
        attach_cluster(play, namespace="nowhere")
    assert caught.value.code == "NamespaceMissing"
    assert "kubectl create namespace nowhere" in caught.value.hint


def test_a_namespace_is_made_where_the_site_allows_it(play):
    a_cluster(play, create_namespaces=True)
    with answering(play, "kube", {"namespaces": ["default", "ml", "new"]}) as asked:
        made = attach_cluster(play, namespace="new", create_namespace=True)
    assert made["provisioning_state"] == "Succeeded"
    assert asked[0]["computes"][0]["create_namespace"] is True


def test_many_computes_on_a_site_and_many_workspaces(play):
    a_cluster(play)
    attach_cluster(play, "ka")
    attach_cluster(play, "kb")
    workspaces.create(play.deps, OWNER, {"name": "other"})
    document = {"type": "kubernetes", "name": "ka", "site": "kube", "namespace": "ml"}
    assert computes.attach(play.deps, OWNER, "other", document)["provisioning_state"] == "Succeeded"


def test_jobs_are_refused_types_that_fit_no_node(play):
    a_cluster(play)
    attach_cluster(play)
    with pytest.raises(Refused) as caught:
        play.job(compute="kc", resources={"instance_type": "huge"})
    assert caught.value.code == "InvalidInstanceType"
    assert play.job(compute="kc", resources={"instance_type": "small"})["status"] == "NotStarted"
