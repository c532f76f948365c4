"""The ledger in a cluster: what people, policies and a lost API server do to its objects."""

from __future__ import annotations

import pytest

from ferryml.backends.kubernetes.kinds import ML_JOBS
from ferryml.backends.kubernetes.kube import annotations_of, meta
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.compile.kubernetes.names import resource_name
from ferryml.domain.errors import Forbidden, Refused, Unavailable
from ferryml.domain.link import Wish
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import JobStatus
from kube_play import PlayKube
from site_play import T0, a_job, a_wish

NAME = resource_name("job.w.j")
STATUS = StoredStatus(uid="job.w.j", generation=1, version=3, status=JobStatus(phase="Running"), at=T0)


@pytest.fixture
def kube() -> PlayKube:
    return PlayKube({"default", "team", "ferry-system"})


def opened(kube: PlayKube, *namespaces: str) -> KubeLedger:
    ledger = KubeLedger(kube, "ferry-system", namespaces, lambda: T0)
    ledger.open()
    return ledger


@pytest.fixture
def ledger(kube: PlayKube) -> KubeLedger:
    return opened(kube)


def wish(namespace: str = "team", **changes: int) -> Wish:
    return a_wish(a_job(namespace=namespace), **changes)


def test_a_wish_lies_in_its_computes_namespace(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    assert annotations_of(body)["ferryml.dev/uid"] == "job.w.j"
    assert meta(body)["labels"]["ferryml.dev/workspace"] == "w"
    assert "status" not in body


def test_people_see_phase_and_reason_first(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"status": JobStatus(phase="Queued", reason="no room")})])
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    assert (body["status"]["phase"], body["status"]["reason"]) == ("Queued", "no room")


def test_without_its_namespace_a_wish_lies_in_the_system_namespace_and_says_why(
    kube: PlayKube, ledger: KubeLedger
) -> None:
    ledger.take([wish("nowhere")], "e1", 1)
    held = ledger.held("job.w.j")
    assert held is not None
    assert held.namespace == "ferry-system"
    assert "nowhere" in held.trouble
    again = opened(kube).held("job.w.j")
    assert again == held


def test_a_namespace_that_is_not_ours_is_as_good_as_missing(kube: PlayKube, ledger: KubeLedger) -> None:
    kube.refusals["apply", "MLJob"] = Forbidden("ClusterForbidden", "no binding there", details={"status": 403})
    with pytest.MonkeyPatch.context() as patch:
        real = kube.apply
        patch.setattr(kube, "apply", lambda body: (_here(kube, body), real(body))[1])
        ledger.take([wish()], "e1", 1)
    held = ledger.held("job.w.j")
    assert held is not None
    assert (held.namespace, held.trouble) == ("ferry-system", "no binding there")


def _here(kube: PlayKube, body: dict[str, object]) -> None:
    """Forbidden in `team` alone."""
    if meta(body)["namespace"] == "ferry-system":
        kube.refusals.clear()


def test_a_wish_moves_when_its_namespace_has_come(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish("later")], "e1", 1)
    ledger.put_statuses([STATUS])
    kube.namespaces.add("later")
    ledger.take([wish("later", generation=2, cursor=2)], "e1", 2)
    assert kube.get(ML_JOBS, "ferry-system", NAME) is None
    body = kube.get(ML_JOBS, "later", NAME)
    assert body is not None
    assert body["status"]["phase"] == "Running"
    held = ledger.held("job.w.j")
    assert held is not None
    assert not held.trouble


def test_what_someone_removes_is_written_anew(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    ledger.put_statuses([STATUS])
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    kube.delete(ML_JOBS, "team", NAME)
    ledger.heard(body, True)
    ledger.put_statuses([])
    again = kube.get(ML_JOBS, "team", NAME)
    assert again is not None
    assert again["status"]["phase"] == "Running"
    assert meta(again)["uid"] != meta(body)["uid"]


def test_a_removal_that_nobody_told_of_is_found_by_the_next_write(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    kube.delete(ML_JOBS, "team", NAME)
    ledger.put_statuses([STATUS])
    ledger.put_statuses([])
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    assert body["status"]["phase"] == "Running"


def test_a_late_word_of_our_own_removal_brings_nothing_back(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([a_wish(None)], "e1", 1)
    body = kube.get(ML_JOBS, "ferry-system", NAME)
    assert body is not None
    ledger.bury("job.w.j", remember=False)
    ledger.heard(body, False)
    ledger.heard(body, True)
    ledger.put_statuses([])
    assert kube.get(ML_JOBS, "ferry-system", NAME) is None
    assert ledger.wishes() == []


def test_an_order_made_by_hand_is_seen_and_cannot_take_anothers_place(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    forged = {
        "apiVersion": "ferryml.dev/v1alpha1", "kind": "MLJob", "metadata": {"name": NAME, "namespace": "default"},
        "spec": {"uid": "job.w.j", "generation": 9, "cursor": 9, "order": None, "grant": ""},
    }  # fmt: skip
    ledger.heard(kube.write(forged), False)
    assert ledger.wish("job.w.j") == wish()
    other = {**forged, "metadata": {"name": "mine", "namespace": "default"}}
    ledger.heard(kube.write(other), False)
    assert [one.uid for one in ledger.wishes()] == ["job.w.j"]
    assert opened(kube).wish("job.w.j") == wish()


def test_a_wish_that_the_cluster_refuses_is_worked_on_all_the_same(kube: PlayKube, ledger: KubeLedger) -> None:
    kube.refusals["apply", "MLJob"] = Refused("ClusterRefused", "spec is invalid", details={"status": 422})
    ledger.take([wish()], "e1", 1)
    assert ledger.wishes() == [wish()]
    ledger.put_statuses([STATUS])
    assert ledger.status("job.w.j") == STATUS


def test_a_status_that_the_cluster_refuses_is_told_all_the_same(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    kube.refusals["status", "MLJob"] = Refused("ClusterRefused", "unknown field usage", details={"status": 422})
    ledger.put_statuses([STATUS])
    assert ledger.status("job.w.j") == STATUS


def test_an_api_server_that_is_away_moves_nothing(kube: PlayKube, ledger: KubeLedger) -> None:
    kube.away = True
    with pytest.raises(Unavailable):
        ledger.take([wish()], "e1", 1)
    assert (ledger.epoch(), ledger.cursor()) == ("", 0)
    kube.away = False
    ledger.take([wish()], "e1", 1)
    assert ledger.cursor() == 1
    kube.away = True
    with pytest.raises(Unavailable):
        ledger.put_statuses([STATUS])
    assert ledger.status("job.w.j") is None


def test_what_was_taken_back_is_not_told_again_by_a_new_agent(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([a_wish(None)], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.bury("job.w.j", remember=True)
    assert [stored.unsent for stored in opened(kube).statuses()] == [False]


def test_acknowledging_costs_no_write(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    ledger.put_statuses([STATUS])
    writes = len(kube.log)
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.take([], "e1", 1)
    ledger.put_statuses([])
    assert len(kube.log) == writes
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert not stored.unsent


def test_ends_of_long_ago_are_forgotten(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([a_wish(None)], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"at": T0.replace(year=2023)})])
    ledger.bury("job.w.j", remember=True)
    assert opened(kube).statuses() == []
    assert kube.list(ML_JOBS).items == ()


def test_only_the_given_namespaces_are_looked_into(kube: PlayKube) -> None:
    opened(kube).take([wish("default")], "e1", 1)
    assert opened(kube, "team").wishes() == []
    assert [one.uid for one in opened(kube, "default").wishes()] == ["job.w.j"]


def test_an_order_that_was_turned_to_another_namespace_is_asked_for_anew(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 7)
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    body["spec"]["order"]["namespace"] = "default"
    kube.apply(body)
    again = opened(kube)
    assert (again.wishes(), again.cursor()) == ([], 0)
    again.take([wish()], "e1", 7)
    assert opened(kube).wishes() == [wish()]


def test_where_nothing_could_be_read_nothing_is_begun_until_it_can(
    kube: PlayKube, ledger: KubeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.take([wish()], "e1", 5)
    ledger.put_statuses([STATUS])
    real = kube.list

    def forbidden(kind, namespace="", *more):  # type: ignore[no-untyped-def]
        if (kind, namespace) == (ML_JOBS, "team"):
            raise Forbidden("ClusterForbidden", "no binding there")
        return real(kind, namespace, *more)

    monkeypatch.setattr(kube, "list", forbidden)
    again = opened(kube, "team")
    again.take([wish()], "e1", 5)
    assert again.wishes() == []
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    again.heard(body, False)
    again.sighted("team")
    assert (again.cursor(), again.status("job.w.j")) == (0, STATUS)
    again.take([wish(), a_wish(a_job("k", namespace="team"), uid="job.w.k", cursor=2)], "e1", 5)
    assert [one.uid for one in again.wishes()] == ["job.w.j", "job.w.k"]
    assert again.status("job.w.j") == STATUS


def test_an_orphan_that_someone_removes_stays_removed(kube: PlayKube, ledger: KubeLedger) -> None:
    ledger.take([wish()], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.relist([], "e2", 0)
    body = kube.get(ML_JOBS, "team", NAME)
    assert body is not None
    kube.delete(ML_JOBS, "team", NAME)
    ledger.heard(body, True)
    ledger.put_statuses([])
    assert (ledger.wishes(), ledger.statuses(), kube.get(ML_JOBS, "team", NAME)) == ([], [], None)


def test_what_may_not_be_written_there_is_told_all_the_same(
    kube: PlayKube, ledger: KubeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.take([wish()], "e1", 1)

    def forbidden(*more):  # type: ignore[no-untyped-def]
        raise Forbidden("ClusterForbidden", "no binding there")

    for name in ("patch_status", "get"):
        monkeypatch.setattr(kube, name, forbidden)
    ledger.put_statuses([STATUS])
    assert [stored.unsent for stored in ledger.statuses()] == [True]


def test_a_turn_that_outlives_its_ledger_is_told_so(ledger: KubeLedger) -> None:
    ledger.take([wish()], "e", 1)
    ledger.close()
    with pytest.raises(Unavailable, match="leads no more"):
        ledger.put_statuses([STATUS])
