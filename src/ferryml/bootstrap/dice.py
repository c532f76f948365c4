"""The clock and the dice: the only place where time and chance come into the program."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class SystemDice:
    """`control.ports.Dice` of the machine."""

    def id(self, length: int = 10) -> str:
        return "".join(secrets.choice(LETTERS) for _ in range(length))

    def secret(self) -> str:
        return secrets.token_urlsafe(32)

    def now(self) -> datetime:
        return datetime.now(UTC)
