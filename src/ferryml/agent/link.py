"""The agent's side of the link: each call to the server, once; who calls when is `loops`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ferryml.agent.unread import Heard, heard
from ferryml.domain.connection import Connections, Piece
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Enrol, Enrolled, Heartbeat, HeartbeatAnswer, Report, ReportsAnswer
from ferryml.domain.orders import Wire as Model
from ferryml.domain.sparse import sparse_json, unreadable, what_is_known
from ferryml.sdk.wire import Wire

M = TypeVar("M", bound=BaseModel)
JSON = {"Content-Type": "application/json"}


class Reports(Model):
    """Body of `POST /agent/v1/reports`."""

    epoch: str
    reports: tuple[Report, ...]


class HttpLink:
    """`ServerLink` and `ConnectionLink` over HTTP."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard:
        answer = self._wire.send(
            "GET",
            "/agent/v1/wishes",
            params={"after": after, "epoch": epoch, "wait": wait_s},
            timeout_s=wait_s + 30,
        )
        return _understood(heard, answer.content)

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        body = Reports(epoch=epoch, reports=tuple(reports))
        answer = self._wire.send("POST", "/agent/v1/reports", content=sparse_json(body), headers=JSON)
        return _read(ReportsAnswer, answer.content)

    def connections(self, known: Sequence[str], wait_s: float) -> Connections:
        asked: dict[str, str | float] = {"known": ",".join(known), "wait": wait_s}
        answer = self._wire.send("GET", "/agent/v1/connections", params=asked, timeout_s=wait_s + 30)
        return _read(Connections, answer.content)

    def hear(self, connection: str, offset: int, wait_s: float) -> Piece:
        asked = {"offset": offset, "wait": wait_s}
        path = f"/agent/v1/connections/{connection}/in"
        return _read(Piece, self._wire.send("GET", path, params=asked, timeout_s=wait_s + 30).content)

    def say(self, connection: str, piece: Piece) -> None:
        self._wire.send("POST", f"/agent/v1/connections/{connection}/out", content=sparse_json(piece), headers=JSON)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        answer = self._wire.send("POST", "/agent/v1/heartbeat", content=sparse_json(beat), headers=JSON)
        return _read(HeartbeatAnswer, answer.content)


def enrol(wire: Wire, request: Enrol) -> Enrolled:
    """Turns a join token into two known keys. Raises Refused(JoinTokenUsed), Refused(AgentTooOld), Unavailable."""
    answer = wire.send("POST", "/agent/v1/enrol", content=sparse_json(request), headers=JSON)
    return _read(Enrolled, answer.content)


def _read(model: type[M], body: bytes) -> M:
    return _understood(lambda answer: what_is_known(model, answer), body)


def _understood(read: Callable[[Any], M], body: bytes) -> M:
    """What an answer only tells may be passed over; one that lacks what this version needs is of no use."""
    try:
        return read(json.loads(body))
    except (ValidationError, ValueError, TypeError) as error:
        parts = unreadable(error) if isinstance(error, ValidationError) else "it is not what it should be"
        raise Unavailable(
            "AgentTooOld",
            f"the server's answer cannot be read by this agent ({parts})",
            "Upgrade the agent: server N serves agents N and N-1.",
        ) from error
