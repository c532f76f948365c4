"""A cache that keeps itself fresh through everything that a watch can suffer; the plain way is in the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from contract_kube import config_map, until
from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS
from ferryml.backends.kubernetes.kube import Manifest, name_of
from ferryml.domain.errors import Forbidden
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


def test_a_namespace_that_may_not_be_seen_counts_as_empty(kube: PlayKube, make: Make) -> None:
    real = kube.list

    def list_some(kind, namespace="", labels="", fields=""):  # type: ignore[no-untyped-def]
        if namespace == "team":
            raise Forbidden("ClusterForbidden", "no binding")
        return real(kind, namespace, labels, fields)

    kube.list = list_some  # type: ignore[method-assign]
    kube.apply(config_map("a", "default"))
    informer = make("default", "team")
    assert informer.wait(5)
    assert names(informer) == ["a"]


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
