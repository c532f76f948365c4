"""Wishes as objects of a cluster, and back."""

from __future__ import annotations

import pytest

from ferryml.backends.kubernetes import mljobs
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, ML_JOBS, ONLINE_ENDPOINTS
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, RolloutOrder, SettingsOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import EndpointStatus, GoneStatus, JobStatus, RevisionStatus
from site_play import T0, a_job, a_wish

SETTINGS = Wish(uid="settings.s", generation=1, cursor=2, order=SettingsOrder(settings={"a": None}), grant="")


@pytest.mark.parametrize("wish", [a_wish(a_job()), a_wish(None), a_wish(None, uid="endpoint.w.e"), SETTINGS])
def test_a_wish_comes_back_as_it_was(wish: Wish) -> None:
    body = mljobs.body_of(wish, "team")
    assert mljobs.wish_of(body) == wish
    assert mljobs.uid_of(body) == wish.uid
    assert mljobs.is_whole(body)
    kinds = {"job": ML_JOBS, "endpoint": ONLINE_ENDPOINTS, "settings": CONFIG_MAPS}
    assert body["kind"] == kinds[wish.uid.partition(".")[0]].kind


def test_a_first_deployment_has_no_champion_and_comes_back_so() -> None:
    rollout = RolloutOrder(rollout="r", deployment="blue", champion=None, candidate="a")
    order = EndpointOrder(workspace="w", name="e", compute="c", namespace="team", rollout=rollout)
    wish = a_wish(order, uid="endpoint.w.e")
    assert mljobs.wish_of(mljobs.body_of(wish, "team")) == wish


def test_an_endpoint_shows_its_traffic() -> None:
    revisions = [
        RevisionStatus(revision=name, deployment=of, state="Succeeded")
        for name, of in (("a", "blue"), ("b", "blue"), ("c", "green"))
    ]
    status = EndpointStatus(state="Updating", reason="why", weights={"a": 60, "b": 10, "c": 30}, revisions=revisions)
    stored = StoredStatus(uid="endpoint.w.e", generation=2, version=3, status=status, memory={"x": 1}, at=T0)
    body = {**mljobs.body_of(a_wish(None, uid="endpoint.w.e"), "team"), "status": mljobs.status_body(stored)}
    shown = {name: body["status"][name] for name in ("phase", "reason", "traffic")}
    assert shown == {"phase": "Updating", "reason": "why", "traffic": "blue=70 green=30"}
    assert mljobs.status_of(body) == stored


def test_what_was_buried_is_no_wish() -> None:
    assert mljobs.wish_of(mljobs.body_of(a_wish(None), "team", buried=True)) is None


@pytest.mark.parametrize("status", [None, GoneStatus(), JobStatus(phase="Running", reason="r", exit_code=0)])
def test_a_status_comes_back_as_it_was(status: JobStatus | GoneStatus | None) -> None:
    stored = StoredStatus(uid="job.w.j", generation=2, version=3, acknowledged=1, status=status, orphaned=True, at=T0)
    body = {**mljobs.body_of(a_wish(a_job()), "team"), "status": mljobs.status_body(stored)}
    assert mljobs.status_of(body) == stored


@pytest.mark.parametrize(
    "spec", [{}, {"uid": "job.w.j", "generation": "x"}, {"uid": "job.w.j", "generation": 1, "cursor": 1, "odd": 1}]
)
def test_what_cannot_be_read_is_no_wish(spec: dict[str, object]) -> None:
    body = {**mljobs.body_of(a_wish(a_job()), "team"), "spec": spec}
    assert mljobs.wish_of(body) is None


def test_a_name_that_is_not_its_uids_is_not_whole() -> None:
    body = mljobs.body_of(a_wish(a_job()), "team")
    body["metadata"]["name"] = "another"
    assert not mljobs.is_whole(body)
    body = mljobs.body_of(a_wish(a_job()), "team")
    body["spec"]["uid"] = "job.w.other"
    assert not mljobs.is_whole(body)


def test_the_owner_goes_by_uid() -> None:
    body = mljobs.body_of(a_wish(a_job()), "team")
    body["metadata"]["uid"] = "u"
    assert mljobs.owner_of(body)["uid"] == "u"
    assert mljobs.place_of(body) == ("team", body["metadata"]["name"])


def test_what_was_taken_back_still_shows_how_it_ended() -> None:
    stored = StoredStatus(uid="job.w.j", generation=2, version=3, status=GoneStatus())
    assert mljobs.status_body(stored)["phase"] == "Gone"
    stored = stored.model_copy(update={"memory": {"track": {"phase": "Completed", "reason": "it ended well"}}})
    body = mljobs.status_body(stored)
    assert (body["phase"], body["reason"]) == ("Completed", "it ended well")
