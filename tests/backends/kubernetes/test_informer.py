"""A cache that keeps itself fresh through everything that a watch can suffer; the plain way is in the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from contract_kube import config_map, until
from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, Kind
from ferryml.backends.kubernetes.kube import Manifest, name_of
from ferryml.domain.errors import Forbidden, NotFound
from kube_play import PlayKube

Make = Callable[..., Informer]


@pytest.fixture
def kube() -> PlayKube:
    return PlayKube({"default", "team"})


@pytest.fixture
def make(kube: PlayKube) -> Iterator[Make]:
    made: list[Informer] = []

    def start(*namespaces: str, **more: object) -> Informer:
        informer = Informer(kube, CONFIG_MAPS, namespaces, **more)  # type: ignore[arg-type]
        made.append(informer)
        informer.start()
        return informer

    yield start
    for informer in made:
        informer.stop()
    kube.cut_watches()


def names(informer: Informer) -> list[str]:
    return sorted(name_of(body) for body in informer.all())


def test_a_watch_that_breaks_goes_on_where_it_stood(kube: PlayKube, make: Make) -> None:
    informer = make("default")
    informer.wait(5)
    kube.cut_watches()
    kube.apply(config_map("a", "default"))
    until(lambda: names(informer) == ["a"])


def test_what_was_missed_is_found_by_listing_anew(kube: PlayKube, make: Make) -> None:
    gone: list[str] = []
    kube.apply(config_map("a", "default"))
    informer = make("default", heard=lambda body, is_gone: gone.append(name_of(body)) if is_gone else None)
    informer.wait(5)
    for watch in kube._watches:
        watch.offer = lambda *args: None  # type: ignore[method-assign]  what happens now is never told
    kube.delete(CONFIG_MAPS, "default", "a")
    kube.apply(config_map("b", "default"))
    kube.forget_history()
    kube.cut_watches()
    until(lambda: names(informer) == ["b"])
    assert gone == ["a"]


def test_an_api_server_that_is_away_is_waited_for(kube: PlayKube, make: Make) -> None:
    kube.away = True
    informer = make("default")
    assert not informer.wait(0.05)
    kube.apply = PlayKube.apply.__get__(kube)  # type: ignore[method-assign]
    kube.away = False
    kube.apply(config_map("a", "default"))
    assert informer.wait(5)
    assert names(informer) == ["a"]


class Rights:
    """Of one namespace, taken away and given back."""

    def __init__(self, kube: PlayKube, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kube, self.namespace, self.away = kube, namespace, False
        for name in ("list", "watch"):
            monkeypatch.setattr(kube, name, partial(self._checked, getattr(kube, name)))
        monkeypatch.setattr("ferryml.backends.kubernetes.informer.MOST_PAUSE_S", 0.02)

    def _checked(self, real: Callable[..., object], kind: Kind, namespace: str = "", *more: str) -> object:
        if self.away and namespace == self.namespace:
            raise Forbidden("ClusterForbidden", "no binding")
        return real(kind, namespace, *more)

    def take_away(self) -> None:
        self.away = True
        self.kube.cut_watches()


def test_a_namespace_that_may_not_be_seen_holds_up_nobody(
    kube: PlayKube, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    Rights(kube, "team", monkeypatch).take_away()
    kube.apply(config_map("a", "default"))
    informer = make("default", "team")
    assert informer.wait(5)
    assert names(informer) == ["a"]
    assert (informer.is_blind("team"), informer.is_blind("default")) == (True, False)


def test_a_right_that_is_taken_away_says_nothing_of_what_is_there(
    kube: PlayKube, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights, gone, sighted = Rights(kube, "team", monkeypatch), list[str](), list[str]()
    for name in ("a", "b"):
        kube.apply(config_map(name, "team"))
    informer = make("team", heard=lambda body, is_gone: gone.append(name_of(body)) if is_gone else None)
    informer.sighted = sighted.append
    informer.wait(5)
    rights.take_away()
    until(lambda: informer.is_blind("team"))
    kube.delete(CONFIG_MAPS, "team", "b")
    assert (names(informer), gone, sighted) == (["a", "b"], [], [])
    rights.away = False
    until(lambda: sighted == ["team"])
    assert (names(informer), gone, informer.is_blind("team")) == (["a"], ["b"], False)


def test_our_own_write_is_known_at_once_and_never_undone_by_an_older_word(kube: PlayKube, make: Make) -> None:
    informer = make("default", index=lambda body: body["data"])
    informer.wait(5)
    old = kube.apply(config_map("a", "default", one="1"))
    new = kube.apply(config_map("a", "default", two="2"))
    informer.took(new)
    informer.took(old)
    assert [name_of(body) for body in informer.select("two")] == ["a"]
    assert informer.select("one") == []
    informer.dropped("default", "a")
    assert informer.all() == []


def test_only_what_is_kept_stays_in_memory(kube: PlayKube, make: Make) -> None:
    heard: list[Manifest] = []
    keep = lambda body: {"metadata": body["metadata"]}  # noqa: E731  a name for what two informers share
    informer = make("default", keep=keep, heard=lambda body, gone: heard.append(body))
    informer.wait(5)
    kube.apply(config_map("a", "default", one="1"))
    until(lambda: heard)
    assert heard[0]["data"] == {"one": "1"}
    found = informer.get("default", "a")
    assert found is not None
    assert "data" not in found


def test_one_object_by_name(kube: PlayKube) -> None:
    for name in ("a", "b"):
        kube.apply(config_map(name, "default"))
    informer = Informer(kube, CONFIG_MAPS, ("default",)).named("a")
    informer.start()
    informer.wait(5)
    kube.apply(config_map("c", "default"))
    kube.apply(config_map("a", "default", more="yes"))
    until(lambda: (informer.get("default", "a") or {}).get("data", {}).get("more") == "yes")
    assert names(informer) == ["a"]
    informer.stop()
    kube.cut_watches()


@pytest.mark.parametrize("steadfast", [True, False])
def test_what_is_not_there_any_more(kube: PlayKube, steadfast: bool) -> None:
    kube.apply(config_map("a", "default"))
    informer = Informer(kube, CONFIG_MAPS, ("default",))
    if steadfast:
        informer.steadfast()
    informer.start()
    informer.wait(5)
    tried: list[int] = []

    def unknown(*args: object, **more: object) -> None:
        tried.append(1)
        raise NotFound("NotFound", "no such kind any more")

    kube.list = kube.watch = unknown  # type: ignore[assignment, method-assign]  its definition is gone
    kube.cut_watches()
    until(lambda: bool(tried))
    until(lambda: bool(names(informer)) == steadfast)
    informer.stop()
