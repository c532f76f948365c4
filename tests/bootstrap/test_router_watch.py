"""What a router is told while table, pods and routers change, and while it can see nothing."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ferryml.backends.kubernetes.kinds import ENDPOINT_SLICES, SECRETS
from ferryml.backends.kubernetes.router_table import TABLE, TableBook
from ferryml.bootstrap import router_watch
from ferryml.bootstrap.router_watch import KubeTable, Where
from ferryml.domain.errors import Forbidden
from ferryml.domain.routes import RouterTable
from ferryml.router.haproxy.shape import shape_of
from kube_play import PlayKube
from router_load import eventually
from router_tables import a_table, an_endpoint
from slices_play import SYSTEM, a_pod, of_revision, of_routers, put

A, B = "a" * 10, "b" * 10


class Watching:
    """A table that is watched in a thread; `told` has what the router was told."""

    def __init__(self, kube: PlayKube, **more: object) -> None:
        self.kube, self.told, self.serves = kube, [], True
        self.over = threading.Event()
        where = Where(SYSTEM, ("team",), bool(more.pop("peers", False)))
        self.table = KubeTable(kube, where, **more)
        self.book = TableBook(kube, SYSTEM, lambda: datetime(2026, 1, 1, tzinfo=UTC), shape_of)
        self._thread = threading.Thread(target=self.table, args=(self._tell, self.over))
        self._thread.start()

    def _tell(self, table: RouterTable) -> bool:
        self.told.append(table)
        return self.serves

    def upstreams(self) -> dict[str, list[str]]:
        endpoints = self.told[-1].endpoints if self.told else ()
        return {one.revision: [u.host for u in one.upstreams] for each in endpoints for one in each.revisions}

    def stop(self) -> None:
        self.over.set()
        self._thread.join(5)
        self.kube.cut_watches()
        assert not self._thread.is_alive()


@pytest.fixture
def kube() -> PlayKube:
    return PlayKube({SYSTEM, "team", "other"})


@pytest.fixture
def watch(kube: PlayKube) -> Iterator:
    made: list[Watching] = []

    def start(**more: object) -> Watching:
        made.append(Watching(kube, **more))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def test_pods_join_their_revisions_as_they_come_and_go(kube, watch) -> None:
    one = watch()
    eventually(lambda: one.told == [RouterTable()])
    one.book.put(an_endpoint(namespace="team"))
    eventually(lambda: one.upstreams() == {A: [], B: []})
    put(kube, of_revision(A, a_pod("p1", "10.1.0.1"), a_pod("p2", "10.1.0.2", ready=False)))
    eventually(lambda: one.upstreams()[A] == ["10.1.0.1"])
    put(kube, of_revision(A, a_pod("p1", "10.1.0.1", ready=False, terminating=True), a_pod("p2", "10.1.0.2")))
    eventually(lambda: one.upstreams()[A] == ["10.1.0.2"])
    assert (one.table.places(f"team/{A}"), one.table.places(f"team/{B}"), one.table.places(A)) == (1, 0, 0)
    kube.delete(ENDPOINT_SLICES, "team", f"model-{A}-x")
    eventually(lambda: one.upstreams()[A] == [])


def test_the_last_pod_is_kept_while_it_still_answers_on_its_way_out(kube, watch) -> None:
    one = watch()
    one.book.put(an_endpoint(namespace="team"))
    leaves = a_pod("p1", "10.1.0.1", ready=False, serving=True, terminating=True)
    put(kube, of_revision(A, leaves, a_pod("p2", "10.1.0.2", ready=False)))
    eventually(lambda: one.upstreams().get(A) == ["10.1.0.1"])
    put(kube, of_revision(A, leaves, a_pod("p2", "10.1.0.2")))
    eventually(lambda: one.upstreams()[A] == ["10.1.0.2"])


def test_labels_in_another_namespace_steal_nothing(kube, watch) -> None:
    put(kube, of_revision(A, a_pod("thief", "10.9.9.9"), namespace="other"))
    one = watch()
    one.book.put(an_endpoint(namespace="team"))
    put(kube, of_revision(A, a_pod("p1", "10.1.0.1")))
    eventually(lambda: one.upstreams().get(A) == ["10.1.0.1"])


def test_the_other_routers_are_known_where_there_are_some(kube, watch) -> None:
    put(kube, of_routers("r1", "r2"))
    one, alone = watch(peers=True), watch()
    eventually(lambda: one.told and [p.name for p in one.told[-1].peers] == ["r1", "r2"])
    assert one.told[-1].peers[0].address == "10.0.0.1:9401"
    put(kube, of_routers("r2"))
    eventually(lambda: [p.name for p in one.told[-1].peers] == ["r2"])
    eventually(lambda: bool(alone.told))
    assert alone.told[-1].peers == ()


def test_a_table_that_was_not_served_is_told_again(kube, watch, monkeypatch) -> None:
    monkeypatch.setattr(router_watch, "LOOK_S", 0.01)
    one = watch()
    eventually(lambda: bool(one.told))
    one.serves = False
    one.book.put(an_endpoint())
    eventually(lambda: len([table for table in one.told if table.endpoints]) > 2)
    one.serves = True
    eventually(lambda: one.told[-1].endpoints != ())


def test_what_cannot_be_seen_any_more_stays(kube, watch) -> None:
    one = watch()
    one.book.put(an_endpoint(namespace="team"))
    put(kube, of_revision(A, a_pod("p1", "10.1.0.1")))
    eventually(lambda: one.upstreams().get(A) == ["10.1.0.1"])
    count = len(one.told)
    real = kube.list
    kube.list = lambda *a, **k: (_ for _ in ()).throw(Forbidden("ClusterForbidden", "no more"))
    kube.away = True
    kube.cut_watches()
    kube.away = False
    kube.delete(SECRETS, SYSTEM, TABLE)
    damaged = base64.b64encode(b"{").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": TABLE, "namespace": SYSTEM}}
    kube.create(SECRETS, {**secret, "data": {"table.json": damaged}})
    put(kube, of_revision(B, a_pod("p2", "10.1.0.2")))
    eventually(lambda: len(one.told) > count)
    kube.list = real
    assert one.upstreams()[A] == ["10.1.0.1"]
    assert one.told[-1].endpoints


def test_nothing_is_told_before_all_is_known_but_what_was_served_last(kube, watch, monkeypatch) -> None:
    monkeypatch.setattr(router_watch, "SYNC_S", 0.1)
    kube.away = True
    last = a_table(generation=4)
    one, new = watch(last=lambda: last), watch()
    eventually(lambda: one.told == [last])
    assert new.told == []
    kube.away = False
    eventually(lambda: RouterTable() in one.told and RouterTable() in new.told)
