"""Predictions on their way to the gateway: in batches, kept while it is away, and no turn of the operator waits."""

import threading

import pytest

from ferryml.backends.kubernetes import captures
from ferryml.backends.kubernetes.captures import BATCH, GatewayCaptures
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.statuses import Accuracy

UID = "endpoint.w.e"
AWAY = Unavailable("Unavailable", "no gateway")
BOTH = (Accuracy(labels=2, correct=1, predictions=3), Accuracy(labels=1, correct=1, predictions=3))


class Gateway:
    """Knows what it was given."""

    def __init__(self):
        self.trouble = None
        self.batches, self.forgotten, self.joins = [], [], []
        self.known = set()
        self.gate = threading.Event()
        self.gate.set()

    def _check(self):
        if self.trouble:
            raise self.trouble

    def put_predictions(self, given):
        self._check()
        self.batches.append(len(given))
        self.known |= {one[1] for one in given}

    def join_labels(self, uid, labels):
        self.gate.wait(5)
        self._check()
        self.joins.append(uid)
        matched = sum(request in self.known for request, _ in labels)
        return matched, len(labels) - matched

    def accuracy(self):
        self._check()
        return {UID: {"a": BOTH}}

    def forget_predictions(self, uid):
        self._check()
        self.forgotten.append(uid)


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def kept(gateway, monkeypatch):
    monkeypatch.setattr(captures, "LATE_S", 0.0)
    made = GatewayCaptures(gateway)
    yield made
    gateway.gate.set()
    made.close()


def test_many_go_in_batches(kept, gateway):
    for number in range(BATCH + 3):
        kept.put(UID, str(number), "a", "1")
    assert kept._quietly(kept._send)
    assert gateway.batches == [BATCH, 3]
    assert not kept._quietly(kept._send)


def test_nothing_is_lost_while_the_gateway_is_away_but_the_oldest(kept, gateway, monkeypatch, caplog):
    monkeypatch.setattr(captures, "WAITING", 6)
    kept._waiting = type(kept._waiting)(maxlen=6)
    gateway.trouble = AWAY
    for number in range(8):
        kept.put(UID, str(number), "a", "1")
        kept._quietly(kept._send)
    assert len([one for one in caplog.records if "kept back" in one.message]) == 1
    gateway.trouble = None
    assert kept._quietly(kept._send)
    assert gateway.known == {"2", "3", "4", "5", "6", "7"}


def test_what_is_too_long_is_not_kept(kept):
    kept.put(UID, "1", "a", "9" * 9000)
    assert not kept._waiting


def test_figures_are_those_of_the_last_look(kept, gateway):
    assert kept.accuracy(UID) == {}
    assert kept._quietly(kept._refresh)
    gateway.trouble = AWAY
    assert not kept._quietly(kept._refresh)
    assert kept.accuracy(UID) == {"a": BOTH}


def test_a_join_that_takes_long_is_asked_again(kept, gateway, monkeypatch):
    monkeypatch.setattr(captures, "WAIT_S", 0.02)
    kept.put(UID, "1", "a", "1")
    gateway.gate.clear()
    for _ in range(3):
        with pytest.raises(Unavailable):
            kept.join(UID, [("1", "1")])
    gateway.gate.set()
    monkeypatch.setattr(captures, "WAIT_S", 5)
    assert kept.join(UID, [("1", "1")]) == (1, 0)
    assert gateway.joins == [UID]


def test_labels_that_come_before_their_prediction_are_joined_once_more(kept, gateway):
    assert kept.join(UID, [("1", "1")]) == (0, 1)
    assert gateway.joins == [UID, UID]


@pytest.mark.parametrize("trouble", [AWAY, Refused("BadRequest", "no")])
def test_a_join_that_failed_may_be_asked_again(kept, gateway, trouble):
    gateway.trouble = trouble
    with pytest.raises(type(trouble)):
        kept.join(UID, [("1", "1")])
    gateway.trouble = None
    assert kept.join(UID, [("1", "1")]) == (0, 1)


def test_the_forgotten_are_not_sent_either(kept, gateway):
    kept.put(UID, "1", "a", "1")
    kept.put("endpoint.w.other", "2", "a", "1")
    kept._quietly(kept._refresh)
    gateway.trouble = AWAY
    with pytest.raises(Unavailable):
        kept.forget(UID)
    gateway.trouble = None
    kept.forget(UID)
    kept._quietly(kept._send)
    assert (gateway.known, gateway.forgotten, kept.accuracy(UID)) == ({"2"}, [UID], {})


def test_the_last_ones_are_sent_at_the_end(kept, gateway):
    kept.start()
    kept.put(UID, "1", "a", "1")
    kept.close()
    assert gateway.known == {"1"}
    with pytest.raises(Unavailable):
        kept.join(UID, [("1", "1")])
