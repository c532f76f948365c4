"""Answers that leave in one piece: a gateway that is killed has answered whole, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_BYTES = 64 * 1024
"""What is longer than this leaves in parts, as it comes."""


class Gathering:
    """A transport whose writes wait for the end of the loop's turn, so that head and body are one packet.

    Clients try again when a connection ends without an answer; half an answer, as the MLflow client gets it between
    head and body, they give to the user's program as an error.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """As of a transport."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting += data
        if len(self._waiting) > MOST_BYTES:
            self._flush()

    def close(self) -> None:
        """What waits is sent first."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting = bytes(self._waiting), bytearray()
            self._transport.write(data)


class WholeAnswers(H11Protocol):
    """For `uvicorn.Config(http=...)`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Each connection's answers are gathered."""
        gathering = Gathering(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, gathering))
