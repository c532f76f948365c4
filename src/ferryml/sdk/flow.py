"""Calls as values: what to send is decided here, sending is left to whoever runs the flow, blocking or async.

A flow is a generator that yields `Call` and `Pause` and is sent back the `Answer` of each call. So the sense of
every operation is written once, and `client.py` and `aio.py` only send.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Json = Any
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request below the server's URL.

    Args:
        body: bytes to send, or None.
        repeatable: sending it twice is sending it once, so that a lost answer may be asked for again.
        timeout_s: seconds for the answer, long polls included.
        save_to: file that receives the body instead of memory (it is written from `offset` on).
    """

    method: str
    path: str
    query: Mapping[str, str | int | float] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    timeout_s: float = 60.0
    save_to: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; errors never get here, they are raised inside the flow."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body as JSON; None when there is none."""
        return json.loads(self.body) if self.body else None


Step = Call | Pause
Flow = Generator[Step, Answer | None, T]
"""Yields steps, returns T. `Call` is answered with an `Answer`, `Pause` with None."""


def ask(call: Call) -> Flow[Answer]:
    """One call inside a flow: `answer = yield from ask(call)`."""
    answer = yield call
    if answer is None:
        raise RuntimeError("a call was not answered by the runner of the flow")
    return answer


def get(path: str, **query: str | int | float | None) -> Flow[Json]:
    """GET, read as JSON; None values are left out of the query."""
    answer = yield from ask(Call("GET", path, {key: value for key, value in query.items() if value is not None}))
    return answer.json()


def send(method: str, path: str, document: Json = None, **query: str | int | float | None) -> Flow[Json]:
    """A changing call with a JSON body; POST is not repeated by itself when its answer is lost."""
    body = None if document is None else json.dumps(document).encode()
    kept = {key: value for key, value in query.items() if value is not None}
    headers = {} if body is None else {"Content-Type": "application/json"}
    answer = yield from ask(Call(method, path, kept, body, headers, repeatable=method != "POST"))
    return answer.json()


def listed(path: str, limit: int | None = None, **query: str | int | float | None) -> Flow[list[Json]]:
    """All pages of a list, or the first `limit` items."""
    items: list[Json] = []
    after: int | None = None
    while True:
        page = yield from get(path, after=after, limit=min(limit - len(items), 500) if limit else None, **query)
        items += page["items"]
        after = page.get("next")
        if after is None or not page["items"] or (limit is not None and len(items) >= limit):
            return items if limit is None else items[:limit]
