"""A shell in a running job: what is asked, and how both ends tell bytes, sizes and ends apart in one stream of bytes.

The server carries two streams of bytes for a connection and reads neither.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.orders import Residency, Wire

Kind = Literal["data", "errors", "size", "end", "exit"]
"""data: of standard input or output; errors: standard error; size: of the terminal; end: of the input; exit: a code."""
KINDS: tuple[Kind, ...] = ("data", "errors", "size", "end", "exit")
HEAD = struct.Struct(">BI")
MOST_FRAME = 1 << 20
MOST_PIECE = 256 * 1024
"""Bytes of one call in either direction."""
MOST_STREAM = 256 << 20
"""Bytes that one direction of a connection carries in all."""
Word = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class Terminal(Wire):
    """How large a terminal is, in characters."""

    rows: int = Field(24, ge=1, le=10_000)
    columns: int = Field(80, ge=1, le=10_000)


class ConnectionAsk(Wire):
    """Body of `POST .../jobs/NAME/connections`."""

    command: tuple[Word, ...] = Field((), max_length=1000)
    """What to run; empty: a shell."""
    terminal: Terminal | None = None
    """None: no terminal, input and output are plain."""
    rank: int = Field(0, ge=0, le=100_000)
    """Which pod of a job of several."""


class Connection(Wire):
    """One connection as its site hears of it."""

    id: str
    uid: str
    attempt: int
    ask: ConnectionAsk
    expires_at: datetime


class Connections(Wire):
    """Answer of `GET /agent/v1/connections`: all that are open to this site now."""

    connections: tuple[Connection, ...] = ()


class Piece(Wire):
    """Bytes of one direction. `offset` is where they begin; `over`: nothing more will come."""

    offset: int = Field(0, ge=0)
    data: str = ""
    """base64"""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing that is said in a stream."""

    kind: Kind
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        """As it travels."""
        return HEAD.pack(KINDS.index(self.kind), len(self.payload)) + self.payload


class Frames:
    """Finds frames in bytes that come in pieces of any size. Raises Refused for what is none."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._left += data
        while len(self._left) >= HEAD.size:
            kind, size = HEAD.unpack_from(self._left)
            if kind >= len(KINDS) or size > MOST_FRAME:
                raise Refused("BadRequest", "the other end of the connection says something unknown", "Upgrade it.")
            if len(self._left) < HEAD.size + size:
                return
            frame = Frame(KINDS[kind], self._left[HEAD.size : HEAD.size + size])
            self._left = self._left[HEAD.size + size :]
            yield frame


def check_free(job: str, residency: Residency) -> None:
    """A shell shows whatever its program can read. Raises Forbidden(ResidencyViolation) where some of it is bound."""
    if residency.zones:
        raise Forbidden(
            "ResidencyViolation",
            f"inputs of job {job} are bound to {', '.join(residency.zones)}, and a shell would show them elsewhere",
            "Use what its data's owner has released: ferry job logs.",
        )


def size_frame(terminal: Terminal) -> Frame:
    """The terminal is that large now."""
    return Frame("size", terminal.model_dump_json().encode())


def exit_frame(code: int, reason: str = "") -> Frame:
    """The program ended with `code`, or could not be run for `reason`."""
    return Frame("exit", json.dumps({"code": code, "reason": reason[:1000]}).encode())


def exit_of(frame: Frame) -> tuple[int, str]:
    """(code, reason) of an exit frame."""
    said = json.loads(frame.payload)
    return int(said.get("code", 255)), str(said.get("reason") or "")
