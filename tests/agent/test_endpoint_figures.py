"""Figures of a revision: how fast its totals rise, over a window, whatever restarts in between."""

from datetime import UTC, datetime, timedelta

from ferryml.agent.endpoint_figures import Figuring
from ferryml.domain.counters import Counters, bucket

T0 = datetime(2026, 1, 1, tzinfo=UTC)
UID, A, B = "endpoint.w.e", "a" * 10, "b" * 10


def counted(requests: int, boot: str = "1", **more) -> Counters:
    return Counters(boot=boot, requests=requests, **more)


def look(figuring: Figuring, second: float, requests: int, boot: str = "1", **more) -> dict[str, float]:
    made = figuring.of(UID, {A: counted(requests, boot, **more)}, {}, {}, {}, T0 + timedelta(seconds=second))
    return made[A]


def test_the_rate_is_of_the_last_while():
    figuring = Figuring()
    assert "rate" not in look(figuring, 0, 100)
    assert look(figuring, 2, 120)["rate"] == 10
    assert look(figuring, 4, 160, direct=20)["rate"] == 20
    for second in range(5, 30):
        look(figuring, second, 160, direct=20)
    assert look(figuring, 30, 160, direct=20)["rate"] == 0
    assert len(figuring._marks[UID, A]) < 15


def test_a_router_that_began_anew_begins_the_rate_anew():
    figuring = Figuring()
    look(figuring, 0, 1000)
    assert "rate" not in look(figuring, 1, 10, "2")
    assert look(figuring, 2, 20, "2")["rate"] == 10


def test_everything_by_name():
    totals = counted(10, errors=1, mirrored=4, latency={bucket(5): 10}, mirror_latency={bucket(9): 4})
    window = counted(4, errors=1, latency={bucket(2): 3, bucket(80): 1})
    made = Figuring().of(UID, {A: totals, B: counted(0)}, {A: window}, {(A, 0): 2, (A, 1): 1, (B, 0): 7}, {A: 3}, T0)
    one = made[A]
    assert (one["requests"], one["errors"], one["error_rate"], one["in_flight"], one["queued"]) == (10, 1, 0.25, 3, 3)
    assert 1.9 < one["p50_ms"] < 2.2
    assert all(75 < one[name] < 90 for name in ("p90_ms", "p95_ms", "p99_ms"))
    assert "mirror_p99_ms" not in one
    assert (made[B]["in_flight"], made[B]["queued"]) == (7, 0)
    assert "p50_ms" not in made[B]
    assert 8.5 < Figuring().of(UID, {A: totals}, {}, {}, {}, T0)[A]["mirror_p99_ms"] < 9.9


def test_what_is_gone_is_not_remembered():
    figuring = Figuring()
    look(figuring, 0, 1)
    figuring.of(UID, {B: counted(1)}, {}, {}, {}, T0)
    assert set(figuring._marks) == {(UID, B)}
    figuring.forget(UID)
    assert not figuring._marks
