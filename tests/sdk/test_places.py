"""What is asked of computes and sites."""

import pytest

from ferryml.domain.errors import Conflict, Refused
from site_answers import a_cluster, answering, attach, told


@pytest.fixture(scope="module")
def cluster(desk):
    a_cluster(desk)
    attach(desk)
    return desk


def test_instance_types(cluster, client):
    assert [each["name"] for each in client.computes.instance_types("kc")] == ["defaultinstancetype", "huge", "small"]
    assert client.sites.instance_types("kube")["suggestions"]


def test_a_compute_is_waited_for_only_while_its_site_may_still_tell(cluster, client):
    assert client.computes.wait("kc")["provisioning_state"] == "Succeeded"
    client.sites.create({"name": "later"})
    client.computes.create({"type": "kubernetes", "name": "kl", "site": "later"})
    heard = []
    assert client.computes.wait("kl", heard.append)["provisioning_state"] == "Creating"
    assert len(heard) == 1


def test_the_doctor_is_asked_and_heard(cluster, client):
    assert client.sites.doctor("kube", "last")["result"] == "ok"
    with answering(cluster, "kube", {}) as asked:
        assert client.sites.doctor("kube")["answered"]
        assert client.sites.doctor("kube", "again")["answered"]
    assert [each["again"] for each in asked] == [False, True]
    told(cluster, "kube")
    with pytest.raises(Conflict):
        client.sites.doctor("kube")


def test_detaching_says_what_becomes_of_work(cluster, client):
    client.computes.create({"type": "local", "name": "cx", "site": "cloud"})
    with pytest.raises(Refused):
        client.computes.detach("cx", "burn")
    client.computes.detach("cx", "keep")
