"""The table in its Secret: one writer, many readers, and nothing that a reader could not take."""

import base64
from datetime import UTC, datetime

import pytest

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.router_table import TABLE, TableBook, read_table, without_addresses
from ferryml.domain.errors import Conflict, Refused, Unavailable
from ferryml.router.haproxy.shape import shape_of
from kube_play import PlayKube
from router_tables import an_endpoint

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def kube():
    return PlayKube({"sys"})


@pytest.fixture
def book(kube):
    return TableBook(kube, "sys", lambda: NOW, shape_of)


def test_what_is_put_is_read_back_without_addresses(kube, book):
    written = book.put(an_endpoint(instances=3))
    assert read_table(kube.get(SECRETS, "sys", TABLE)) == written == book.read()
    assert written.endpoints == (without_addresses(an_endpoint(instances=3)),)
    assert not any(one.upstreams for one in written.endpoints[0].revisions)


def test_a_generation_is_higher_than_any_before_also_when_the_secret_was_lost(kube, book):
    first = book.put(an_endpoint())
    second = book.put(an_endpoint("other"))
    assert second.generation == first.generation + 1
    kube.delete(SECRETS, "sys", TABLE)
    later = TableBook(kube, "sys", lambda: NOW.replace(year=2027), shape_of)
    assert later.put(an_endpoint()).generation > second.generation


def test_the_same_again_writes_nothing(kube, book):
    book.put(an_endpoint())
    kube.log.clear()
    assert book.put(an_endpoint(instances=5)) == book.read()
    assert kube.log == []


def test_endpoints_come_and_go_one_by_one(book):
    book.put(an_endpoint("a"))
    book.put(an_endpoint("b"))
    book.put(an_endpoint("a", weights={}))
    assert [(one.name, bool(one.weights)) for one in book.read().endpoints] == [("a", False), ("b", True)]
    book.drop("endpoint.ws.a")
    book.drop("endpoint.ws.never")
    assert [one.name for one in book.read().endpoints] == ["b"]


def test_a_name_belongs_to_one_endpoint_of_the_cluster(book):
    book.put(an_endpoint("a"))
    with pytest.raises(Conflict, match="another endpoint named a"):
        book.put(an_endpoint("a", uid="endpoint.other.a"))


def test_what_no_router_could_serve_is_not_written(book):
    book.put(an_endpoint())
    with pytest.raises(Refused):
        book.put(an_endpoint("other", key_hashes=("zz",)))
    assert len(book.read().endpoints) == 1


def test_another_writer_is_taken_into_account(kube, book):
    book.put(an_endpoint("a"))
    real, turns = kube.replace, []

    def beaten(kind, body):
        if not turns:
            turns.append(1)
            TableBook(kube, "sys", lambda: NOW, shape_of).put(an_endpoint("b"))
        return real(kind, body)

    kube.replace = beaten
    book.put(an_endpoint("c"))
    assert [one.name for one in book.read().endpoints] == ["a", "b", "c"]


def test_one_who_is_beaten_every_time_gives_up(kube, book):
    book.put(an_endpoint("a"))
    kube.refusals["replace", "Secret"] = Conflict("VersionConflict", "no")
    with pytest.raises(Unavailable):
        book.put(an_endpoint("b"))


def test_too_large_a_table_says_so(book):
    with pytest.raises(Refused, match="too large"):
        book.put(an_endpoint(key_hashes=("a" * 64,) * 20_000))


@pytest.mark.parametrize("data", [{}, {"table.json": ""}])
def test_an_empty_secret_is_no_table(data):
    assert read_table({"data": data}) is None
    assert read_table(None) is None


@pytest.mark.parametrize("text", ["{", '{"endpoints": 1}', '{"generation": 1, "unheard_of": 2}'])
def test_a_damaged_one_is_refused(text):
    with pytest.raises(Refused, match="no table"):
        read_table({"data": {"table.json": base64.b64encode(text.encode()).decode()}})
    with pytest.raises(Refused):
        read_table({"data": {"table.json": "%%%"}})
