"""Asking router pods: by their own authority and name, whatever their address; new words are learnt when needed."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.router_doors import DOOR, DoorWord, HttpDoors, address_of, door_word
from ferryml.backends.kubernetes.slices import Place
from ferryml.domain.errors import Unavailable
from kube_play import PlayKube

PLACE = Place("router-x", "10.0.0.1", 9402)


class Doorkeeper:
    """Answers as a door does to those who say `bearer`."""

    def __init__(self) -> None:
        self.bearer, self.away, self.asked, self.answer = "b1", "", [], {"acknowledged": 3}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        assert request.extensions["sni_hostname"] == "ferry-router"
        if self.away:
            raise httpx.ConnectError(self.away)
        if request.headers["authorization"] != f"Bearer {self.bearer}":
            return httpx.Response(401)
        return httpx.Response(200, json=self.answer)


@pytest.fixture
def keeper():
    return Doorkeeper()


@pytest.fixture
def words():
    return ["b1"]


@pytest.fixture
def doors(keeper, words):
    made = HttpDoors(lambda: DoorWord("", words[-1]), transport=httpx.MockTransport(keeper))
    yield made
    made.close()


def test_a_door_is_asked_at_the_pods_own_address(keeper, doors):
    assert doors.ask(PLACE, "/state", 3) == {"acknowledged": 3}
    assert doors.ask(Place("six", "fd00::1", 9402), "/state", 3)
    assert keeper.asked == ["https://10.0.0.1:9402/state", "https://[fd00::1]:9402/state"]
    assert address_of(PLACE) == "10.0.0.1:9402"


def test_a_new_bearer_is_learnt(keeper, words, doors):
    doors.ask(PLACE, "/state", 3)
    keeper.bearer = "b2"
    words.append("b2")
    assert doors.ask(PLACE, "/state", 3) == {"acknowledged": 3}


def test_one_that_stays_strange_is_told_once(keeper, doors):
    keeper.bearer = "other"
    with pytest.raises(Unavailable, match="router-x"):
        doors.ask(PLACE, "/state", 3)
    assert len(keeper.asked) == 2


@pytest.mark.parametrize(("words_", "times"), [("refused", 1), ("[SSL: CERTIFICATE_VERIFY_FAILED]", 2)])
def test_one_that_does_not_answer(keeper, doors, words_, times):
    keeper.away = words_
    with pytest.raises(Unavailable, match="does not answer"):
        doors.ask(PLACE, "/state", 3)
    assert len(keeper.asked) == times


def test_what_is_no_json_is_no_answer(doors, keeper):
    keeper.answer = float("nan")  # written as NaN, which is none
    with pytest.raises((Unavailable, ValueError)):
        doors.ask(PLACE, "/state", 3)


def test_the_word_is_in_a_secret_that_the_routers_fill():
    kube = PlayKube({"sys"})
    with pytest.raises(Unavailable, match="no router has started"):
        door_word(kube, "sys")
    data = {name: base64.b64encode(text.encode()).decode() for name, text in (("ca.pem", "CA"), ("bearer", "b"))}
    kube.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": DOOR, "namespace": "sys"}, "data": data}
    )
    assert door_word(kube, "sys") == DoorWord("CA", "b")


def test_two_at_once_come_in_by_one_way(keeper):
    reading, go, read = threading.Event(), threading.Event(), []

    def word():
        reading.set()
        assert go.wait(5)
        read.append(1)
        return DoorWord("", "b1")

    doors = HttpDoors(word, transport=httpx.MockTransport(keeper))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(doors.ask, PLACE, "/state", 3)
        assert reading.wait(5)
        second = pool.submit(doors.ask, PLACE, "/captured", 3)
        go.set()
        assert first.result() == second.result() == {"acknowledged": 3}
    assert read == [1], "the second of them would have closed what the first was using"
    doors.close()
