"""All routers as one door: changes wait for every ready one, figures are added up, and a look costs nothing."""

import threading
import time
from datetime import UTC, datetime

import pytest

from ferryml.backends.kubernetes.kinds import SECRETS, SERVICES
from ferryml.backends.kubernetes.router_table import TABLE, TableBook
from ferryml.backends.kubernetes.routers import ClusterRouter, Waits
from ferryml.domain.counters import Counters
from ferryml.domain.errors import Unavailable
from ferryml.router.haproxy.shape import shape_of
from kube_play import PlayKube
from router_load import eventually
from router_tables import an_endpoint
from slices_play import SYSTEM, of_routers, put

UID, A, B = "endpoint.ws.digits", "a" * 10, "b" * 10
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class PlayDoors:
    """What each router says; `late` do not follow the table, `silent` do not answer, `blind` see no pods."""

    def __init__(self, kube: PlayKube) -> None:
        self._kube = kube
        self.states: dict[str, dict] = {}
        self.late: set[str] = set()
        self.silent: set[str] = set()
        self.blind: set[str] = set()
        self.kept: dict[str, int] = {}
        self.says_kept = False
        self.asked: list[tuple[str, str]] = []
        self.closed = False

    def ask(self, place, path, timeout_s):
        self.asked.append((place.pod, path.partition("?")[0]))
        if place.pod in self.silent:
            raise Unavailable("Unavailable", "it does not answer")
        if path.startswith("/served"):
            generation = TableBook(self._kube, SYSTEM, lambda: NOW, shape_of).read().generation
            return {"acknowledged": generation - (place.pod in self.late)}
        if path.startswith("/captured"):
            after = int(path.partition("=")[2])
            return [[n, UID, f"{place.pod}-{n}", A, "1"] for n in range(after + 1, self.kept.get(place.pod, 0) + 1)]
        if path.startswith("/places"):
            return {"places": int(place.pod not in self.blind)}
        kept = {"kept": self.kept.get(place.pod, 0)} if self.says_kept else {}
        known = {UID: self.states[place.pod]} if place.pod in self.states else {}
        return {"acknowledged": 0, "endpoints": known, **kept}

    def close(self) -> None:
        self.closed = True


def counted(boot: str, requests: int, **more: int) -> dict:
    return Counters(boot=boot, requests=requests, latency={3: requests}, **more).model_dump(mode="json")


def a_state(boot: str, requests: int, busy: int = 0, queued: int = 0) -> dict:
    return {
        "totals": {A: counted(boot, requests)}, "recent": {A: counted(boot, requests)},
        "busy": [[A, 167837953, 5001, busy]], "queued": {A: queued},
    }  # fmt: skip


@pytest.fixture
def kube():
    made = PlayKube({SYSTEM})
    put(made, of_routers("r1", "r2"))
    yield made
    made.cut_watches()


@pytest.fixture
def doors(kube):
    return PlayDoors(kube)


@pytest.fixture
def router(kube, doors):
    book = TableBook(kube, SYSTEM, lambda: NOW, shape_of)
    made = ClusterRouter(kube, SYSTEM, book, doors, waits=Waits(acknowledge=0.2, places=0.2, ask=1))
    made.start()
    yield made
    made.stop()
    assert doors.closed


def written(kube):
    return TableBook(kube, SYSTEM, lambda: NOW, shape_of).read()


def test_a_change_is_in_effect_on_all_when_it_returns(kube, doors, router):
    router.apply(an_endpoint())
    assert [one.name for one in written(kube).endpoints] == ["digits"]
    assert {pod for pod, path in doors.asked if path == "/served"} == {"r1", "r2"}
    router.drop(UID)
    assert written(kube).endpoints == ()


def test_predictions_are_fetched_from_each_router_once(doors, router):
    told: list[tuple[str, ...]] = []
    router.captured = lambda *one: told.append(one)
    doors.kept = {"r1": 2, "r2": 1}
    router.look()
    router.look()
    eventually(lambda: len(told) == 3)
    doors.kept["r1"] = 3
    doors.silent = {"r2"}
    router.look()
    eventually(lambda: len(told) == 4)
    assert sorted(told) == [(UID, name, A, "1") for name in ("r1-1", "r1-2", "r1-3", "r2-1")]


def test_one_that_is_late_is_named(doors, router):
    doors.late = {"r2"}
    with pytest.raises(Unavailable, match=r"^r2 does not serve"):
        router.apply(an_endpoint())
    doors.late = set()
    router.apply(an_endpoint())


def test_one_that_stops_being_ready_holds_up_nobody(kube, doors, router):
    doors.silent = {"r2"}
    done = threading.Thread(target=router.apply, args=(an_endpoint(),))
    done.start()
    put(kube, of_routers("r1"))
    done.join(5)
    assert not done.is_alive()
    assert [one.pod for one in router.routers()] == ["r1"]


def test_without_any_router_nothing_is_in_effect(kube, router):
    put(kube, of_routers())
    eventually(lambda: not router.routers())
    with pytest.raises(Unavailable, match="no router is ready"):
        router.apply(an_endpoint())
    assert written(kube).endpoints, "it is written, for those that come"


def test_a_first_weight_waits_for_pods_that_every_router_knows(kube, doors, router):
    doors.blind = {"r1"}
    with pytest.raises(Unavailable, match="r1 does not see the pods of aaaaaaaaaa"):
        router.apply(an_endpoint())
    assert written(kube).endpoints == ()
    router.apply(an_endpoint(weights={}))
    router.apply(an_endpoint(weights={}, direct={}))
    doors.blind = set()
    router.apply(an_endpoint())
    doors.blind = {"r1"}
    router.apply(an_endpoint(weights={A: 50}))
    with pytest.raises(Unavailable, match="does not see the pods of bbbbbbbbbb"):
        router.apply(an_endpoint(weights={A: 50, B: 50}))
    assert written(kube).endpoints[0].weights == {A: 50}


def test_what_is_served_already_is_not_written_again(kube, router):
    router.apply(an_endpoint())
    kube.log.clear()
    router.apply(an_endpoint(instances=3))
    assert kube.log == []


def test_figures_are_added_up_over_the_routers(doors, router):
    doors.states = {"r1": a_state("x", 10, busy=2, queued=1), "r2": a_state("y", 5, busy=1)}
    router.apply(an_endpoint())
    router.look()
    doors.asked.clear()
    assert router.totals(UID)[A].requests == router.recent(UID)[A].requests == 15
    assert router.busy(UID) == {(A, 167837953, 5001): 3}
    assert router.queued(UID) == {A: 1}
    assert router.totals("endpoint.ws.other") == router.busy("endpoint.ws.other") == {}
    assert doors.asked == [], "a look costs no request"


def test_sums_never_fall_and_marks_hold_when_routers_restart(kube, doors, router):
    doors.states = {"r1": a_state("x", 10), "r2": a_state("y", 5)}
    router.apply(an_endpoint())
    router.look()
    mark = router.totals(UID)[A]
    doors.states = {"r1": a_state("x", 12), "r3": a_state("z", 3)}
    put(kube, of_routers("r1", "r3"))
    eventually(lambda: [one.pod for one in router.routers()] == ["r1", "r3"])
    router.look()
    now = router.totals(UID)[A]
    assert now.requests == 12 + 3 + 5, "what r2 counted stays"
    assert now.since(mark).requests == 2 + 3
    assert now.since(mark).latency == {3: 5}


def test_an_operator_that_takes_over_goes_on_from_the_mark(kube, doors, router):
    doors.states = {"r1": a_state("x", 10), "r2": a_state("y", 5)}
    router.apply(an_endpoint())
    router.look()
    mark = Counters.model_validate_json(router.totals(UID)[A].model_dump_json())
    doors.states = {"r1": a_state("x", 11), "r2": a_state("new", 4)}
    book = TableBook(kube, SYSTEM, lambda: NOW, shape_of)
    other = ClusterRouter(kube, SYSTEM, book, PlayDoors(kube), waits=Waits(1, 1, 1))
    other._doors.states = doors.states
    other.start()
    assert other.totals(UID)[A].requests == 15
    assert other.totals(UID)[A].since(mark).requests == 1 + 4
    other.stop()


def test_a_router_that_cannot_be_asked_keeps_its_totals_and_loses_its_moment(doors, kube):
    clock = [100.0]
    book = TableBook(kube, SYSTEM, lambda: NOW, shape_of)
    made = ClusterRouter(kube, SYSTEM, book, doors, waits=Waits(1, 1, 1), elapsed=lambda: clock[0])
    doors.states = {"r1": a_state("x", 10, busy=2), "r2": a_state("y", 5, busy=1)}
    made.start()
    made.apply(an_endpoint())
    made.look()
    doors.silent = {"r2"}
    clock[0] += 6
    made.look()
    assert made.busy(UID) == {(A, 167837953, 5001): 2}
    assert made.totals(UID)[A].requests == 15
    made.stop()


def test_it_knows_whether_it_hears_all(doors, kube):
    clock = [100.0]
    book = TableBook(kube, SYSTEM, lambda: NOW, shape_of)
    made = ClusterRouter(kube, SYSTEM, book, doors, waits=Waits(1, 1, 1), elapsed=lambda: clock[0])
    doors.states = {"r1": a_state("x", 1)}
    made.start()
    assert not made.hears_all(UID), "r2 does not know it yet"
    doors.states["r2"] = a_state("y", 1)
    made.look()
    assert made.hears_all(UID)
    assert not made.hears_all("endpoint.ws.other")
    doors.silent = {"r2"}
    clock[0] += 6
    made.look()
    assert not made.hears_all(UID), "what r2 said is old"
    put(kube, of_routers("r1"))
    eventually(lambda: made.hears_all(UID))
    put(kube, of_routers())
    eventually(lambda: not made.hears_all(UID))
    made.stop()


def test_another_load_is_told_once(doors, router):
    told: list[str] = []
    router.changed = told.append
    doors.states = {"r1": a_state("x", 1), "r2": a_state("y", 1)}
    router.look()
    assert told == [UID]
    router.look()
    assert told == [UID]
    doors.states["r2"] = a_state("y", 1, queued=3)
    router.look()
    doors.states["r2"] = a_state("y", 4, busy=1)
    router.look()
    assert told == [UID, UID, UID]


def test_predictions_are_asked_for_only_where_there_are_new_ones(doors, router):
    doors.states = {"r1": a_state("x", 1), "r2": a_state("y", 1)}
    doors.kept, doors.says_kept = {"r1": 2}, True
    doors.asked.clear()
    router.look()
    router.look()
    assert [pod for pod, path in doors.asked if path == "/captured"] == ["r1"]
    doors.kept = {"r1": 1}  # it began anew
    router.look()
    assert [pod for pod, path in doors.asked if path == "/captured"] == ["r1", "r1"]


def test_nonsense_from_one_router_does_not_hurt_the_others(doors, router):
    doors.states = {"r1": {"totals": "what"}, "r2": a_state("y", 5)}
    router.apply(an_endpoint())
    router.look()
    assert router.totals(UID)[A].requests == 5


def test_revisions_that_are_gone_are_forgotten(doors, router):
    doors.states = {"r1": a_state("x", 10)}
    router.apply(an_endpoint())
    router.look()
    assert router.totals(UID)
    doors.states = {}
    router.apply(an_endpoint(letters="b", weights={}))
    router.look()
    assert router.totals(UID) == {}


def test_a_table_that_somebody_emptied_is_written_anew(kube, router):
    router.apply(an_endpoint())
    kube.patch(SECRETS, SYSTEM, TABLE, {"data": None})
    router._mend()
    assert [one.name for one in written(kube).endpoints] == ["digits"]
    router.drop(UID)
    router._mend()
    assert written(kube).endpoints == ()


def test_the_address_is_the_services(kube, doors):
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ferry-router", "namespace": SYSTEM},
        "spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443}]},
    }  # fmt: skip
    kube.create(SERVICES, service)
    book = TableBook(kube, SYSTEM, lambda: NOW, shape_of)
    for url, wanted in (("", "https://ferry-router.sys.svc"), ("https://score.example/", "https://score.example")):
        made = ClusterRouter(kube, SYSTEM, book, doors, url)
        made.start()
        assert made.url == wanted
        made.stop()


def test_it_says_when_the_cluster_does_not_answer(kube, doors):
    kube.away = True
    made = ClusterRouter(kube, SYSTEM, TableBook(kube, SYSTEM, lambda: NOW, shape_of), doors)
    before = time.monotonic()
    with pytest.raises(Unavailable):
        made.start(0.1)
    assert time.monotonic() - before < 2
    made.stop()
