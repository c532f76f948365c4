"""A site is asked what is there now, and what it says counts."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import computes, site_looks
from ferryml.domain.errors import Refused
from site_answers import a_cluster, a_finding, answering, attach, told
from system_play import until


def test_a_site_that_cannot_be_asked_is_not_waited_for(play):
    a_cluster(play)
    assert site_looks.ask(play.deps, "kube") == ""
    assert site_looks.ask(play.deps, "nowhere") == ""
    assert not site_looks.answered(play.deps, "kube", "")


def test_what_the_site_answers_counts(play):
    a_cluster(play, namespaces=["default"])
    with answering(play, "kube", {"namespaces": ["default", "ml"]}) as asked:
        assert attach(play)["provisioning_state"] == "Succeeded"
    assert asked[0]["computes"] == [
        {"workspace": WORKSPACE, "name": "kc", "namespace": "ml", "create_namespace": False}
    ]
    assert computes.show(play.deps, OWNER, WORKSPACE, "kc")["provisioning_state"] == "Succeeded"


def test_programs_that_have_just_been_started_are_waited_for(play, monkeypatch):
    monkeypatch.setattr(computes, "AGAIN_S", 0.01)
    a_cluster(play)
    starting, ready = {"doctor": [a_finding(code="GatewayDown")]}, {}
    with answering(play, "kube", *[starting] * 5, ready) as asked:
        assert attach(play)["provisioning_state"] == "Succeeded"
        until(lambda: len(asked) == 6 + 1, 20, lambda: "the compute is told, too")
    monkeypatch.setattr(computes, "SETTLE_S", 0.1)
    with answering(play, "kube", starting), pytest.raises(Refused, match="GatewayDown"):
        attach(play, "again")


def test_what_lasts_is_refused_at_once_and_named_first(play):
    a_cluster(play)
    wrong = {"doctor": [a_finding(code="GatewayDown"), a_finding(code="PermissionMissing")]}
    with answering(play, "kube", wrong) as asked, pytest.raises(Refused, match="PermissionMissing"):
        attach(play)
    assert len(asked) == 1


def test_a_late_answer_is_waited_for(play, monkeypatch):
    monkeypatch.setattr(computes, "AGAIN_S", 0.01)
    a_cluster(play)
    told(play, "kube", ("look",), doctor=[a_finding()])
    waits = []

    def late(*args):
        waits.append(args)
        if len(waits) == 2:
            told(play, "kube", ("look",))
        return len(waits) == 2

    monkeypatch.setattr(site_looks, "answered", late)
    assert attach(play)["provisioning_state"] == "Succeeded"
    assert len(waits) == 2


def test_the_site_is_told_of_every_compute_it_has(play):
    a_cluster(play)
    attach(play, "ka")
    attach(play, "kb", namespace="default")
    with answering(play, "kube", {}) as asked:
        assert site_looks.answered(play.deps, "kube", site_looks.ask(play.deps, "kube"))
    assert [each["name"] for each in asked[-1]["computes"]] == ["ka", "kb"]


def test_an_answer_that_does_not_come_is_given_up(play):
    a_cluster(play)
    assert not site_looks.answered(play.deps, "kube", "nobody", wait_s=0)
    assert not site_looks.answered(play.deps, "gone", "nobody", wait_s=1)
