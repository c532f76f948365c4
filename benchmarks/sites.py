"""Simulated sites: real enrolment, keys and link, and no work behind them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from benchmarks.kit import Server
from ferryml.agent.keys import Clock, KeySigner, load_or_make, public_text
from ferryml.agent.link import HttpLink, enrol
from ferryml.domain.link import Enrol, Enrolled, Journal, JournalAnswer, JournalEntry, MlflowCall, Report, Wish
from ferryml.domain.orders import JobOrder
from ferryml.domain.statuses import JobPhaseTime, JobStatus
from ferryml.sdk.wire import Route, Wire, open_client

T = TypeVar("T")
BATCH = 100


class SimulatedSite:
    """Pulls wishes, reports states and writes journal entries, as an agent and a gateway do."""

    def __init__(self, server: Server, name: str, state: Path) -> None:
        self.name, self.epoch, self.cursor = name, "", 0
        self.wishes: dict[str, Wish] = {}
        self._route = Route(server.url)
        self._keys = [load_or_make(state / name / f"{role}.key") for role in ("agent", "gateway")]
        self._enrolled = self._enrol(server.site(name))
        self.link, self.gateway = HttpLink(self._wire("agent", 0)), self._wire("gateway", 1)

    def pull(self, wait_s: float) -> list[Wish]:
        """One question for wishes."""
        answer = self.link.wishes(self.cursor, self.epoch, wait_s)
        if answer.relist:
            raise RuntimeError("the server's epoch changed under the benchmark")
        self.epoch, self.cursor = answer.epoch, answer.cursor
        self.wishes.update((wish.uid, wish) for wish in answer.wishes)
        return list(answer.wishes)

    def report(self, phase: str, version: int) -> None:
        """Every job that was wished for is in this phase."""
        for some in _batches(self.wishes.values()):
            self.link.report(self.epoch, [_report(wish, phase, version) for wish in some])

    def log_metrics(self, seq: int, count: int) -> int:
        """One log-batch of `count` metrics from every job, through the journal; how many were taken."""
        entries = (_entry(wish, seq, count) for wish in self.wishes.values())
        return sum(self._journal(some) for some in _batches(entries))

    def _journal(self, entries: list[JournalEntry]) -> int:
        body = Journal(entries=tuple(entries)).model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        said = self.gateway.send("POST", "/gateway/v1/journal", content=body, headers=headers, timeout_s=120)
        answer = JournalAnswer.model_validate_json(said.content)
        if answer.refused:
            raise RuntimeError(f"refused: {next(iter(answer.refused.items()))}")
        return len(answer.acknowledged)

    def _enrol(self, token: str) -> Enrolled:
        agent, gateway = (public_text(key) for key in self._keys)
        asked = Enrol(join_token=token, agent_key=agent, gateway_key=gateway, version="benchmark")
        return enrol(Wire(open_client(self._route), self._route), asked)

    def _wire(self, role: str, key: int) -> Wire:
        subject, clock = f"{self._enrolled.site}/{role}", Clock(lambda: datetime.now(UTC))
        signer = KeySigner(self._keys[key], subject, self._enrolled.server_id, clock, lambda: secrets.token_hex(8))
        return Wire(open_client(self._route), self._route, signer)


def _report(wish: Wish, phase: str, version: int) -> Report:
    now = datetime.now(UTC)
    status = JobStatus(phase=phase, times=(JobPhaseTime(phase=phase, at=now),))
    return Report(uid=wish.uid, generation=wish.generation, version=version, status=status, at=now)


def _entry(wish: Wish, seq: int, count: int) -> JournalEntry:
    order = wish.order
    assert isinstance(order, JobOrder)
    body = {"run_id": order.mlflow_run_id, "metrics": metrics(seq, count)}
    call = MlflowCall(
        method="POST", path="/api/2.0/mlflow/runs/log-batch", content_type="application/json", body=_text(body)
    )  # fmt: skip
    return JournalEntry(uid=wish.uid, attempt=1, seq=seq, grant=wish.grant, item=call)


def metrics(step: int, count: int) -> list[dict[str, float | int | str]]:
    """As log-batch wants them."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    return [{"key": f"m{n}", "value": step + n / 7, "timestamp": now, "step": step} for n in range(count)]


def _text(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def _batches(things: Iterable[T]) -> Iterator[list[T]]:
    some: list[T] = []
    for thing in things:
        some.append(thing)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some
