"""Predictions and labels on a cluster: the gateway has the disk, the agent the word; nobody waits for the other."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Protocol

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.statuses import Accuracy

log = logging.getLogger(__name__)

WAITING = 100_000
"""Predictions that wait for a gateway that is away; the oldest are lost first."""
BATCH = 5000
LONGEST = 8192
"""Characters of a prediction that the gateway takes."""
SEND_S = 1.0
"""How soon a prediction is handed to the gateway."""
REFRESH_S = 10.0
"""How often figures are asked for when nothing was sent."""
LATE_S = 3.0
"""A label may come before its prediction has been fetched from the routers: then it is joined once more, that late."""
WAIT_S = 0.25
"""How long a turn of the operator waits for labels to be joined before it goes on with other work."""
Prediction = tuple[str, str, str, str]
Labels = tuple[tuple[str, str], ...]
Figures = Mapping[str, tuple[Accuracy, Accuracy]]


class CaptureDoor(Protocol):
    """What is asked of the gateway."""

    def put_predictions(self, given: list[Prediction]) -> None: ...
    def join_labels(self, uid: str, labels: Labels) -> tuple[int, int]: ...
    def accuracy(self) -> dict[str, dict[str, tuple[Accuracy, Accuracy]]]: ...
    def forget_predictions(self, uid: str) -> None: ...


class GatewayCaptures:
    """Implements `agent.endpoint_ports.Captures`. Any thread may call; `put` and `accuracy` never wait."""

    def __init__(self, door: CaptureDoor) -> None:
        self._door = door
        self._waiting: deque[Prediction] = deque(maxlen=WAITING)
        self._figures: dict[str, dict[str, tuple[Accuracy, Accuracy]]] = {}
        self._joining: dict[tuple[str, Labels], Future[tuple[int, int]]] = {}
        self._sending = threading.Lock()
        self._over, self._news = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ferry-labels")
        self._thread = threading.Thread(target=self._run, name="ferry-captures", daemon=True)
        self._trouble = ""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What still waits is sent if the gateway is there."""
        self._over.set()
        self._news.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(5)
        self._quietly(self._send)

    def put(self, uid: str, request_id: str, revision: str, predicted: str) -> None:
        """Remember a prediction, as JSON text; one that is too long to be a label's is not kept."""
        if len(predicted) <= LONGEST:
            self._waiting.append((uid, request_id, revision, predicted))

    def join(self, uid: str, labels: Iterable[tuple[str, str]]) -> tuple[int, int]:
        """(matched, unmatched). Raises Unavailable while it is under way: ask again with the same labels."""
        key = (uid, tuple(labels))
        future = self._joining.get(key)
        if future is None:
            try:
                future = self._joining[key] = self._pool.submit(self._join, *key)
            except RuntimeError as error:
                raise Unavailable("Unavailable", "the agent ends") from error
        try:
            answer = future.result(WAIT_S)
        except NotYet as error:
            raise Unavailable("Unavailable", "the labels are being joined", "It is asked again by itself.") from error
        except FerryError:
            self._joining.pop(key, None)
            raise
        self._joining.pop(key, None)
        return answer

    def accuracy(self, uid: str) -> Figures:
        """revision -> (all, the last 1,000), as the gateway last said; empty before it has said anything."""
        return dict(self._figures.get(uid, {}))

    def forget(self, uid: str) -> None:
        """The endpoint is gone. Raises Unavailable while the gateway is away."""
        with self._sending:
            kept = [one for one in self._waiting if one[0] != uid]
            self._waiting.clear()
            self._waiting.extend(kept)
        self._door.forget_predictions(uid)
        self._figures.pop(uid, None)

    def _run(self) -> None:
        since = REFRESH_S
        while not self._over.is_set():
            sent = self._quietly(self._send)
            since += SEND_S
            if sent or self._news.is_set() or since >= REFRESH_S:
                self._news.clear()
                since = 0.0 if self._quietly(self._refresh) else REFRESH_S
            self._over.wait(SEND_S)

    def _send(self) -> bool:
        """Everything that waits, in batches; what the gateway did not take waits on."""
        sent = False
        with self._sending:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    self._door.put_predictions(batch)
                except Unavailable:
                    room = WAITING - len(self._waiting)
                    self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
                    raise
                sent = True
        return sent

    def _refresh(self) -> bool:
        self._figures = self._door.accuracy()
        return True

    def _join(self, uid: str, labels: Labels) -> tuple[int, int]:
        self._send()
        matched, unmatched = self._door.join_labels(uid, labels)
        if unmatched and not self._over.wait(LATE_S):
            self._send()
            matched, unmatched = self._door.join_labels(uid, labels)
        self._news.set()
        return matched, unmatched

    def _quietly(self, work: Callable[[], bool]) -> bool:
        """False when there was nothing to do, or no gateway to do it with; trouble is said once."""
        try:
            done = work()
            self._trouble = ""
            return done
        except FerryError as error:
            if self._trouble != error.code:
                log.warning("predictions are kept back: %s: %s", error.code, error.message)
            self._trouble = error.code
            return False
