"""Endpoints on a site that serves none: said at once and in words, instead of an endpoint that is created for ever."""

from __future__ import annotations

from datetime import datetime

from ferryml.agent.ports import EndpointTurn
from ferryml.domain.link import Wish
from ferryml.domain.orders import FeedbackOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import EndpointStatus, FeedbackStatus, GoneStatus

WHY = "this site does not serve endpoints; choose a compute on a site that does"


class NoServing:
    """`agent.ports.EndpointOperator`."""

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> EndpointTurn:
        if wish.order is None:
            return EndpointTurn(status=GoneStatus())
        if isinstance(wish.order, FeedbackOrder):
            return EndpointTurn(status=FeedbackStatus(matched=0, unmatched=len(wish.order.labels)))
        return EndpointTurn(status=EndpointStatus(state="Failed", reason=WHY, code="NotSupported"))
