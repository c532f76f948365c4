"""A site that serves nothing says so."""

from __future__ import annotations

from ferryml.agent.no_serving import NoServing
from ferryml.domain.orders import EndpointOrder, FeedbackOrder
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, GoneStatus
from site_play import T0, a_wish


def test_endpoints_fail_with_the_reason_and_go_when_told() -> None:
    serving = NoServing()
    order = EndpointOrder(workspace="w", name="e", compute="c")
    status = serving.turn(a_wish(None, uid="endpoint.w.e").model_copy(update={"order": order}), None, T0).status
    assert isinstance(status, EndpointStatus)
    assert (status.state, status.code) == ("Failed", "NotSupported")
    assert isinstance(serving.turn(a_wish(None, uid="endpoint.w.e"), None, T0).status, GoneStatus)


def test_labels_match_nothing() -> None:
    order = FeedbackOrder(workspace="w", endpoint="e", labels=(("r", "1"), ("s", "2")))
    wish = a_wish(None, uid="feedback.f").model_copy(update={"order": order})
    assert NoServing().turn(wish, None, T0).status == FeedbackStatus(matched=0, unmatched=2)
