"""One contract for what remembers predictions: a file of the site itself, and the gateway of a cluster.

Joined once, counted for ever, and never slowing a prediction.
"""

import time
from datetime import UTC, datetime

import pytest

from cluster_gateway_play import SYSTEM
from ferryml.backends.kubernetes import captures
from ferryml.backends.kubernetes.captures import GatewayCaptures
from ferryml.backends.kubernetes.gateway_door import HttpGatewayDoor
from ferryml.backends.local.serving_captures import CaptureFile
from ferryml.domain.errors import Unavailable

UID, A, B = "endpoint.w.e", "a" * 10, "b" * 10


@pytest.fixture(params=["file", "gateway"])
def kept(request, tmp_path, monkeypatch):
    if request.param == "file":
        made = CaptureFile(tmp_path / "captures.db", lambda: datetime(2026, 1, 1, tzinfo=UTC))
        yield made
        made.close()
        return
    monkeypatch.setattr(captures, "LATE_S", 0.05)
    monkeypatch.setattr(captures, "SEND_S", 0.05)
    gateway = request.getfixturevalue("pods_gateway")
    token = gateway.token("ferry-agent", SYSTEM, "ferry-gateway-admin")
    door = HttpGatewayDoor(gateway.url, gateway.url, gateway.authority.read_text(), lambda: token)
    made = GatewayCaptures(door)
    made.start()
    yield made
    made.close()
    door.close()


def request(number: int, revision: str = A) -> str:
    return f"{revision}-{number:016x}"


def predicts(kept, count: int, value: str = "1", revision: str = A) -> None:
    for number in range(count):
        kept.put(UID, request(number, revision), revision, value)


def joined(kept, labels, uid: str = UID):
    """As the operator does: asked again, with the same labels, until there is an answer."""
    for _ in range(200):
        try:
            return kept.join(uid, labels)
        except Unavailable:
            time.sleep(0.02)
    raise AssertionError("never joined")


def counted(kept, labels: int, revision: str = A):
    """(all, recent) once the figures have that many labels; they may lag behind the join."""
    for _ in range(200):
        found = kept.accuracy(UID).get(revision)
        if found and found[0].labels == labels:
            return found
        time.sleep(0.02)
    raise AssertionError(kept.accuracy(UID))


def test_labels_meet_predictions(kept):
    predicts(kept, 4, "3")
    labels = [(request(0), "3"), (request(1), '"3"'), (request(2), "[3.0]"), (request(3), "4")]
    assert joined(kept, labels) == (4, 0)
    total, recent = counted(kept, 4)
    assert (total.labels, total.correct, total.predictions) == (4, 3, 4)
    assert recent == total


def test_unknown_ids_and_other_endpoints_do_not_match(kept):
    predicts(kept, 1)
    assert joined(kept, [(request(9), "1"), ("nonsense", "1")]) == (0, 2)
    assert joined(kept, [(request(0), "1")], "endpoint.w.other") == (0, 1)
    assert kept.accuracy("endpoint.w.other") == {}


def test_the_same_label_again_changes_nothing_and_a_new_one_replaces(kept):
    predicts(kept, 2)
    for _ in range(3):
        assert joined(kept, [(request(0), "1")]) == (1, 0)
    assert joined(kept, [(request(0), "2"), (request(1), "2")]) == (2, 0)
    assert counted(kept, 2)[0].correct == 0


def test_a_label_that_is_no_json_is_text(kept):
    predicts(kept, 1, '"cat"')
    joined(kept, [(request(0), "cat")])
    assert counted(kept, 1)[0].correct == 1


def test_recent_is_the_last_thousand(kept):
    predicts(kept, 1200, "1")
    joined(kept, [(request(n), "2") for n in range(200)] + [(request(n), "1") for n in range(200, 1200)])
    total, recent = counted(kept, 1200)
    assert total.correct == 1000
    assert (recent.labels, recent.correct) == (1000, 1000)


def test_revisions_are_apart(kept):
    predicts(kept, 2, "1", A)
    predicts(kept, 2, "2", B)
    joined(kept, [(request(0, A), "1"), (request(0, B), "1")])
    assert (counted(kept, 1, A)[0].correct, counted(kept, 1, B)[0].correct) == (1, 0)


def test_what_is_forgotten_matches_nothing(kept):
    predicts(kept, 2)
    joined(kept, [(request(0), "1")])
    kept.forget(UID)
    assert kept.accuracy(UID) == {}
    assert joined(kept, [(request(1), "1")]) == (0, 1)
