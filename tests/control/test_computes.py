"""Computes: attached only to what is there, changed only where it can take effect."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import computes, jobs, sites
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused

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
        computes.detach(play.deps, OWNER, WORKSPACE, "c1")
    jobs.cancel(play.deps, OWNER, WORKSPACE, name)
    play.reports("cloud", name, "Canceled", 5)
    play.turns()
    computes.detach(play.deps, OWNER, WORKSPACE, "c1")
    assert computes.list_computes(play.deps, OWNER, WORKSPACE) == []
    with pytest.raises(NotFound):
        computes.detach(play.deps, OWNER, WORKSPACE, "c1")


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
