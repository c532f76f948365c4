"""Readiness and termination decide who takes requests, not existence."""

import pytest

from ferryml.backends.kubernetes.slices import Place, last_places_of, places_of
from slices_play import a_pod, a_slice


def test_ready_pods_at_the_named_port_each_once():
    one = a_slice("m", a_pod("b", "10.1.0.2"), a_pod("a", "10.1.0.1"), ports={"score": 5001, "other": 1})
    assert places_of([one, one], "score") == (Place("a", "10.1.0.1", 5001), Place("b", "10.1.0.2", 5001))
    assert places_of([one], "nothing") == ()


@pytest.mark.parametrize(
    ("conditions", "takes"),
    [
        ({}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, False),
        ({"terminating": True}, False),
    ],
)
def test_who_takes_requests(conditions, takes):
    assert bool(places_of([a_slice("m", a_pod("a", "10.1.0.1", **conditions))], "score")) == takes


def test_what_is_not_said_counts_as_ready():
    pod = a_pod("a", "10.1.0.1")
    pod["conditions"] = {}
    assert places_of([a_slice("m", pod)], "score")


def test_what_is_no_pod_with_an_address_is_left_out():
    other = a_pod("a", "10.1.0.1")
    other["targetRef"] = {"kind": "Node", "name": "n"}
    assert places_of([a_slice("m", other)], "score") == ()
    assert places_of([a_slice("m", {**a_pod("a", "x"), "addresses": []})], "score") == ()
    assert places_of([a_slice("m", a_pod("a", "example.com"), addressType="FQDN")], "score") == ()
    assert places_of([a_slice("m", endpoints=None)], "score") == ()


def test_the_last_ones_go_on_until_they_stop_answering():
    leaves = a_pod("a", "10.1.0.1", ready=False, serving=True, terminating=True)
    dead = a_pod("b", "10.1.0.2", ready=False, serving=False, terminating=True)
    unready = a_pod("c", "10.1.0.3", ready=False, serving=False)
    ready = a_pod("d", "10.1.0.4")

    def names(*pods):
        return [one.pod for one in last_places_of([a_slice("m", *pods)], "score")]

    assert names(leaves, dead, unready) == ["a"]
    assert names(leaves, dead, unready, ready) == ["d"]
    assert names(dead, unready) == []
