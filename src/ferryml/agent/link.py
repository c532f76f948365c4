"""The agent's side of the link: each call to the server, once; who calls when is `loops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ferryml.domain.connection import Connections, Piece
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Enrol, Enrolled, Heartbeat, HeartbeatAnswer, Report, ReportsAnswer, Wishes
from ferryml.domain.orders import Wire as Model
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

    def wishes(self, after: int, epoch: str, wait_s: float) -> Wishes:
        answer = self._wire.send(
            "GET",
            "/agent/v1/wishes",
            params={"after": after, "epoch": epoch, "wait": wait_s},
            timeout_s=wait_s + 30,
        )
        return _read(Wishes, answer.content)

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        body = Reports(epoch=epoch, reports=tuple(reports))
        answer = self._wire.send("POST", "/agent/v1/reports", content=_bytes(body), headers=JSON)
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
        self._wire.send("POST", f"/agent/v1/connections/{connection}/out", content=_bytes(piece), headers=JSON)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        answer = self._wire.send("POST", "/agent/v1/heartbeat", content=_bytes(beat), headers=JSON)
        return _read(HeartbeatAnswer, answer.content)


def enrol(wire: Wire, request: Enrol) -> Enrolled:
    """Turns a join token into two known keys. Raises Refused(JoinTokenUsed), Refused(AgentTooOld), Unavailable."""
    answer = wire.send("POST", "/agent/v1/enrol", content=_bytes(request), headers=JSON)
    return _read(Enrolled, answer.content)


def _bytes(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _read(model: type[M], body: bytes) -> M:
    """An answer that this version cannot read whole is refused: no field is ever lost in silence."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        place = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:3])
        raise Unavailable(
            "AgentTooOld",
            f"the server's answer has parts that this agent does not know ({place})",
            "Upgrade the agent: server N serves agents N and N-1.",
        ) from error
