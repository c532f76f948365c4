"""Labels: checked at the door, sent to the site, forgotten once joined."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import feedback
from ferryml.domain.access import Caller
from ferryml.domain.errors import Forbidden, NotFound, Refused
from ferryml.domain.orders import FeedbackOrder
from ferryml.domain.statuses import FeedbackStatus, GoneStatus

ID = "a" * 10 + "-" + "0" * 16


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def give(site, *labels, caller=OWNER, endpoint=NAME):
    return feedback.give(site.deps, caller, WORKSPACE, endpoint, labels)


def wishes(site) -> list:
    return [one for one in site.play.wishes("cloud").wishes if one.uid.startswith("feedback.")]


def test_labels_travel_as_json(site):
    made = give(site, {"request_id": ID, "label": 7}, {"request_id": ID, "label": "cat"})
    (wish,) = wishes(site)
    assert isinstance(wish.order, FeedbackOrder)
    assert wish.order.labels == ((ID, "7"), (ID, '"cat"'))
    assert (made["labels"], wish.uid) == (2, f"feedback.{made['id']}")


def test_joined_labels_are_taken_back(site):
    give(site, {"request_id": ID, "label": 7})
    (wish,) = wishes(site)
    site.report(FeedbackStatus(matched=1, unmatched=0), wish.generation, wish.uid)
    (wish,) = wishes(site)
    assert wish.order is None
    site.report(GoneStatus(), wish.generation, wish.uid)
    assert wishes(site) == []
    with site.deps.store.read() as tx:
        assert tx.find("feedback") == []
        events = [one for one in tx.events(WORKSPACE) if one.verb == "endpoint.feedback"]
    assert events[0].details == {"matched": 1, "unmatched": 0}


@pytest.mark.parametrize(
    "label",
    [
        {"request_id": ID}, {"label": 1}, {"request_id": "x", "label": 1}, {"request_id": ID, "label": 1, "more": 2},
        {"request_id": 7, "label": 1}, {"request_id": ID + "'; --", "label": 1},
        {"request_id": ID, "label": "x" * 2000},
    ],
)  # fmt: skip
def test_bad_labels_are_refused_whole(site, label):
    with pytest.raises(Refused):
        give(site, {"request_id": ID, "label": 1}, label)
    assert wishes(site) == []


def test_none_and_too_many(site):
    with pytest.raises(Refused):
        give(site)
    with pytest.raises(Refused) as caught:
        give(site, *[{"request_id": ID, "label": 1}] * (feedback.MAX_LABELS + 1))
    assert caught.value.code == "LimitExceeded"


def test_who_may(site):
    give(site, {"request_id": ID, "label": 1}, caller=Caller("s", "scorer", WORKSPACE))
    with pytest.raises(Forbidden):
        give(site, {"request_id": ID, "label": 1}, caller=Caller("r", "reader", WORKSPACE))
    with pytest.raises(NotFound):
        give(site, {"request_id": ID, "label": 1}, endpoint="absent")
