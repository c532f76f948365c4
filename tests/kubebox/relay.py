"""Passes connections from a listening socket on to an address that only this process's network namespace can reach.

`python relay.py DESCRIPTOR HOST PORT`: the socket was bound before the namespace was entered, and stays outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

PIECE = 1 << 16
CONNECT_LIMIT_S = 10


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:  # the other end broke off: so does this one
        writer.transport.abort()


async def _serve(descriptor: int, host: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_LIMIT_S)
        except (OSError, TimeoutError):
            writer.close()
            return
        await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        for end in (writer, far_writer):
            with contextlib.suppress(OSError):
                end.close()

    server = await asyncio.start_server(connected, sock=socket.socket(fileno=descriptor))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
