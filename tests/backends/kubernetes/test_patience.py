"""What may pass by itself is a failure when it lasts."""

from __future__ import annotations

from ferryml.backends.kubernetes.observe import View, job_seen
from ferryml.backends.kubernetes.patience import Patience
from ferryml.domain.seen import JobSeen
from kube_play import a_pod
from site_play import PlayClock

JOB = {"metadata": {"name": "j-1", "namespace": "team", "uid": "u", "labels": {}}, "spec": {"completions": 1}}


def pulling(reason: str) -> View:
    waiting = [{"name": "main", "image": "i:1", "state": {"waiting": {"reason": reason, "message": "no such tag"}}}]
    return View(JOB, [a_pod(JOB, containerStatuses=waiting)])


def test_an_image_that_does_not_come_fails_after_a_while() -> None:
    clock = PlayClock()
    patience = Patience(60, clock)

    def look(reason: str) -> JobSeen:
        view = pulling(reason)
        return patience.judged("u", 1, view, job_seen(view, clock()))

    assert look("ErrImagePull").state == "staging"
    clock.passes(50)
    assert look("ImagePullBackOff").state == "staging"
    clock.passes(20)
    seen = look("ErrImagePull")
    assert (seen.state, seen.code) == ("exited", "ImagePullFailed")
    assert "no such tag" in seen.message


def test_a_trouble_that_passed_counts_anew() -> None:
    clock = PlayClock()
    patience = Patience(60, clock)
    for reason in ("ErrImagePull", "ContainerCreating", "ErrImagePull"):
        view = pulling(reason)
        assert patience.judged("u", 1, view, job_seen(view, clock())).state == "staging"
        clock.passes(50)
