"""Two agents of one site: exactly one acts, whatever the lease's book does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ferryml.agent.leader import Leadership, Terms
from ferryml.agent.ports import LeaseSeen
from ferryml.domain.errors import Conflict, Unavailable


@dataclass
class Book:
    """A lease in memory; `away` is an API server that does not answer."""

    seen: LeaseSeen = field(default_factory=LeaseSeen)
    away: bool = False
    writes: int = 0

    def read(self) -> LeaseSeen:
        if self.away:
            raise Unavailable("ClusterUnreachable", "away")
        return self.seen

    def write(self, holder: str, after: LeaseSeen) -> LeaseSeen:
        if self.away:
            raise Unavailable("ClusterUnreachable", "away")
        if after.version != self.seen.version:
            raise Conflict("VersionConflict", "someone wrote it")
        self.writes += 1
        self.seen = LeaseSeen(holder, str(self.writes), 15)
        return self.seen


@dataclass
class Time:
    at: float = 1000

    def __call__(self) -> float:
        return self.at


TERMS = Terms(lease_s=15, margin_s=5, retry_s=2)


def agent(book: Book, time: Time, name: str, told: list[str] | None = None) -> Leadership:
    heard = told if told is not None else []
    won, lost = lambda: heard.append(f"{name} won"), lambda: heard.append(f"{name} lost")
    return Leadership(book, name, TERMS, won, lost, time)


def test_the_first_leads_and_the_second_waits() -> None:
    book, time, told = Book(), Time(), list[str]()
    a, b = agent(book, time, "a", told), agent(book, time, "b", told)
    a.turn()
    b.turn()
    assert a.leads
    assert not b.leads
    assert told == ["a won"]
    with pytest.raises(Unavailable, match="agent a leads") as refused:
        b.check()
    assert refused.value.code == "NotLeader"
    a.check()


def test_a_silent_leader_stops_before_another_begins() -> None:
    book, time, told = Book(), Time(), list[str]()
    a, b = agent(book, time, "a", told), agent(book, time, "b", told)
    a.turn()
    for _ in range(12):
        time.at += 1
        b.turn()
        assert not (a.leads and b.leads)
    assert not a.leads
    for _ in range(6):
        time.at += 1
        b.turn()
    assert b.leads
    a.turn()
    assert not a.leads
    assert told == ["a won", "b won", "a lost"]


def test_renewing_keeps_it() -> None:
    book, time = Book(), Time()
    a, b = agent(book, time, "a"), agent(book, time, "b")
    for _ in range(40):
        a.turn()
        time.at += 2
        b.turn()
        assert a.leads
        assert not b.leads


def test_without_the_api_server_nobody_leads_after_a_while() -> None:
    book, time, told = Book(), Time(), list[str]()
    a = agent(book, time, "a", told)
    a.turn()
    book.away = True
    time.at += 9
    a.turn()
    assert a.leads
    time.at += 2
    a.turn()
    assert not a.leads
    book.away = False
    a.turn()
    assert a.leads
    assert told == ["a won", "a lost", "a won"]


def test_what_is_given_up_is_free_at_once() -> None:
    book, time = Book(), Time()
    a, b = agent(book, time, "a"), agent(book, time, "b")
    a.turn()
    b.turn()
    a.stop()
    assert not a.leads
    b.turn()
    assert b.leads


def test_a_race_for_it_has_one_winner() -> None:
    book, time = Book(), Time()
    a, b = agent(book, time, "a"), agent(book, time, "b")
    stale = book.read()
    a.turn()
    book.read = lambda: stale  # type: ignore[method-assign]
    b.turn()
    assert a.leads
    assert not b.leads
