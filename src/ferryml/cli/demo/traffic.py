"""People who send images: real requests with the endpoint's key, and the true labels a little later."""

from __future__ import annotations

import csv
import itertools
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

Image = tuple[list[float], int]
"""64 grey values 0..16, and the digit that it shows."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer."""

    status: int
    request_id: str
    deployment: str
    prediction: int | None
    label: int


def images(file: Path) -> list[Image]:
    """The rows of a CSV file."""
    with file.open(newline="") as source:
        return [([float(cell) for cell in row[:-1]], int(row[-1])) for row in csv.reader(source)]


def score(http: httpx.Client, uri: str, key: str, image: Image) -> Scored:
    """One prediction."""
    answer = http.post(uri, json={"image": image[0]}, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    prediction = answer.json()["predictions"][0] if answer.status_code == 200 else None
    headers = answer.headers
    return Scored(
        answer.status_code, headers.get("x-request-id", ""), headers.get("azureml-model-deployment", ""), prediction,
        image[1],
    )  # fmt: skip


def accuracy(scored: list[Scored]) -> float:
    """Share of right answers, 0 to 1."""
    return sum(one.prediction == one.label for one in scored) / len(scored) if scored else 0.0


class Traffic:
    """Steady traffic from a few people at once, until stopped; keeps every answer."""

    def __init__(
        self, uri: str, key: str, source: list[Image], people: int = 3, pause_s: float = 0.02,
        trusted: ssl.SSLContext | bool = True,
    ) -> None:  # fmt: skip
        self._trusted = trusted
        self._uri, self._key, self._pause_s = uri, key, pause_s
        self._images: Iterator[Image] = itertools.cycle(source)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._scored: list[Scored] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(people)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=35)

    def answers(self) -> list[Scored]:
        """All so far."""
        with self._lock:
            return list(self._scored)

    def failed(self) -> int:
        """Answers other than 200."""
        return sum(one.status != 200 for one in self.answers())

    def _run(self) -> None:
        with httpx.Client(trust_env=False, verify=self._trusted) as http:
            while not self._stop.wait(self._pause_s):
                with self._lock:
                    image = next(self._images)
                try:
                    one = score(http, self._uri, self._key, image)
                except httpx.HTTPError as error:
                    one = Scored(0, type(error).__name__, "", None, image[1])
                with self._lock:
                    self._scored.append(one)
