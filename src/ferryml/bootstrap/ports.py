"""Ports that stay the same over restarts: what runs on a site knows its doors by their numbers."""

from __future__ import annotations

import socket
from pathlib import Path

from ferryml.domain.errors import Refused


def last_port(memory: Path, host: str, wanted: int) -> int:
    """`wanted`, or the port of the last life if it is free, or 0 for any."""
    if wanted:
        return wanted
    try:
        last = int(memory.read_text())
    except (OSError, ValueError):
        return 0
    return last if 0 < last < 65_536 and _free(host, last) else 0


def listen(memory: Path, host: str, wanted: int) -> socket.socket:
    """A listening socket on `wanted`, or on the port of the last life; its number is remembered.

    Raises Refused(BadValue) when the port is taken.
    """
    port = last_port(memory, host, wanted)
    try:
        door = socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise Refused("BadValue", f"cannot listen on {host}:{port}: {error.strerror}") from error
    # asyncio sets this only on sockets that were made with IPPROTO_TCP; those accepted here inherit it. Without it
    # each answer waits 40 ms for the caller's delayed acknowledgement.
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    memory.write_text(str(door.getsockname()[1]))
    return door


def _free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True
