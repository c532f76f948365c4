"""`ready`: whether the door on 127.0.0.1 answers; the cluster starts the user's program only then."""

from __future__ import annotations

import os
import socket

from ferryml.runner.pod import DOOR_PORT


def ready() -> int:
    """0 when it does."""
    port = int(os.environ.get("FERRY_DOOR_PORT") or DOOR_PORT)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return 1
    return 0
