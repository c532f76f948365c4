"""What a table does not say of HAProxy: addresses, limits, places."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ferryml.domain.errors import Refused

SLOWEST_BYTES_S = 64 * 1024
LONGEST_REQUEST_S = 300
"""request_timeout_ms is at most this."""
LINE_BYTES = 65_000
"""HAProxy cuts the lines of its log off after so many."""

_SECRET = re.compile(r"[-_A-Za-z0-9]{16,200}")


@dataclass(frozen=True, slots=True)
class Options:
    """What a table does not say; a change of these needs a new start."""

    folder: str
    """Of haproxy.cfg and what it names."""
    run: str
    """Of sockets; at most 80 characters long."""
    bind: tuple[str, ...]
    """HOST:PORT of the scoring address."""
    peer_bind: str = ""
    """HOST:PORT for other replicas; empty: none."""
    peer_secret: str = ""
    certificate: bool = False
    """TLS with FOLDER/edge.pem."""
    threads: int = 2
    max_connections: int = 2000
    max_body_bytes: int = 100 * 1024**2
    buffer_bytes: int = 65536
    connect_timeout_ms: int = 2000
    idle_timeout_ms: int = 75_000
    cors_origins: tuple[str, ...] = ()
    tiers: int = 2
    """1 is for measuring what the second costs; it neither mirrors nor captures."""

    @property
    def inline_bytes(self) -> int:
        """Longest body that is handed to the tap; request, answer and headers share one line, in base64."""
        return min(self.buffer_bytes, LINE_BYTES) * 3 // 10

    def check(self) -> None:
        """Raises Refused for what HAProxy would misread."""
        for text in (self.folder, self.run, *self.bind, self.peer_bind, *self.cors_origins):
            if any(c.isspace() or c in "\"'\\#%{}$" for c in text):
                raise Refused("BadValue", f"{text!r} holds characters that HAProxy would misread")
        if self.peer_bind and not _SECRET.fullmatch(self.peer_secret):
            raise Refused("BadValue", "the secret of replicas must be 16 to 200 letters, digits, - or _")
        if len(self.run) > 80:
            raise Refused("BadValue", f"{self.run} is too long for the paths of sockets")
