"""What pods say of themselves, and the pulse by which the agent hears that there is something to ask for."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from typing import Any, cast

from pydantic import BaseModel, Field

from ferryml.domain.orders import Json
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller

REMEMBERED = 10_000


class StateSaid(BaseModel):
    """Body of `POST /v1/state`; comes from user pods, so everything has its bound."""

    phase: str = Field(pattern="^(new|staging|running|collecting|done)$")
    message: str = Field("", max_length=4000)
    code: str = Field("", pattern="^[A-Za-z]{0,64}$")
    exit_code: int | None = Field(None, ge=-1000, le=1000)
    started_at: float | None = None
    ended_at: float | None = None
    error_lines: list[str] = Field([], max_length=50)
    machine_fault: bool = False
    outputs_done: bool = False
    notes: list[str] = Field([], max_length=100)
    usage: dict[str, int] = Field({}, max_length=20)

    def kept(self) -> dict[str, Json]:
        lines = {"error_lines": [line[:1000] for line in self.error_lines], "notes": [n[:1000] for n in self.notes]}
        return {**self.model_dump(mode="json"), **lines}


class Pulse:
    """A number that rises with every news, and of which attempts they were.

    Args:
        start: higher than any number of an earlier life, e.g. the clock in milliseconds.
    """

    def __init__(self, start: int) -> None:
        self._sequence = start
        self._recent: deque[tuple[int, str, int]] = deque(maxlen=REMEMBERED)
        self._news = threading.Condition()
        self._over = False

    def tell(self, uid: str, attempt: int) -> None:
        with self._news:
            self._sequence += 1
            self._recent.append((self._sequence, uid, attempt))
            self._news.notify_all()

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._news:
            self._over = True
            self._news.notify_all()

    def after(self, sequence: int, wait_s: float) -> dict[str, Json]:
        """`{sequence, changed}`; `changed` is None when anything may have: too much happened, or another life."""
        until = time.monotonic() + wait_s
        with self._news:
            while self._sequence == sequence and not self._over:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._news.wait(left)
            first = self._recent[0][0] if self._recent else self._sequence + 1
            known = first - 1 <= sequence <= self._sequence
            fresh = {(uid, attempt) for number, uid, attempt in self._recent if number > sequence}
            return {"sequence": self._sequence, "changed": sorted(map(list, fresh)) if known else None}


class States:
    """The last word of every rank; durable."""

    def __init__(self, db: Database, pulse: Pulse) -> None:
        self._db, self._pulse = db, pulse

    def take(self, caller: Caller, said: StateSaid) -> None:
        text = json.dumps(said.kept())
        self._db.run("REPLACE INTO states VALUES (?, ?, ?, ?)", caller.uid, caller.attempt, caller.rank, text)
        self._pulse.tell(caller.uid, caller.attempt)

    def of(self, uid: str, attempt: int) -> dict[int, dict[str, Any]]:
        rows = self._db.rows("SELECT rank, body FROM states WHERE uid = ? AND attempt = ?", uid, attempt)
        return {cast(int, rank): json.loads(str(body)) for rank, body in rows}
