"""Receivers in memory that answer as told: a stand-in for `server.outbound` with the same contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ferryml.control.ports import Answered
from ferryml.domain.errors import Unavailable


class Posted(NamedTuple):
    """One post that arrived."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def event(self) -> dict[str, Any]:
        """What it told."""
        made: dict[str, Any] = json.loads(self.body)
        return made


class MemoryPosts:
    """`control.ports.Post`. `answer` says what each post is answered with: a status, an Answered, or 0 for nobody."""

    def __init__(self) -> None:
        self.arrived: list[Posted] = []
        self.answer: Callable[[Posted], int | Answered] = lambda post: 204
        self._lock = threading.Lock()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        one = Posted(url, body, {name.lower(): value for name, value in headers.items()})
        with self._lock:
            self.arrived.append(one)
            said = self.answer(one)
        if said == 0:
            raise Unavailable("Unavailable", "the receiver did not answer in time")
        return said if isinstance(said, Answered) else Answered(status=said)

    def events(self) -> list[str]:
        """Types of all that arrived, without what they have in common."""
        return [post.event()["type"].removeprefix("dev.ferryml.automation.") for post in self.arrived]
