"""Lines become counters; what is not a line of ours changes nothing."""

from ferryml.domain.counters import Counters
from ferryml.router.haproxy.events import Book
from router_tables import an_endpoint

ENDPOINT = an_endpoint()
A = "a" * 10


def a_book() -> Book:
    book = Book("boot")
    book.keep([ENDPOINT])
    return book


def test_kinds_and_codes():
    book = a_book()
    book.take(
        [
            b"w r.digits.aaaaaaaaaa 200 -- 1000",
            b"w r.digits.aaaaaaaaaa 502 -- 2000",
            b"w r.digits.aaaaaaaaaa 503 sQ 3000",
            b"w r.digits.aaaaaaaaaa -1 KD 4000",
            b"d r.digits.aaaaaaaaaa 500 -- 5",
            b"s r.digits.aaaaaaaaaa 200 -- 5",
            b"m r.digits.aaaaaaaaaa 200 -- 5",
        ]
    )
    seen = book.totals(ENDPOINT)[A]
    assert (seen.requests, seen.errors, seen.direct, seen.queued_out) == (4, 3, 1, 1)
    assert 3 < seen.quantile_ms(0.9) < 4.3
    assert sum(seen.latency.values()) == 4


def test_a_caller_who_left_says_nothing_of_the_model():
    book = a_book()
    book.take([b"w r.digits.aaaaaaaaaa 200 CD 1000", b"w r.digits.aaaaaaaaaa 503 CQ 1000"])
    assert book.totals(ENDPOINT)[A].requests == 0


def test_noise_is_left_alone():
    book = a_book()
    noise = [
        b"",
        b"Proxy inner stopped (cumulated conns: FE: 4, BE: 0).",
        b"w r.other.aaaaaaaaaa 200 -- 1",
        b"\xff\xfe",
    ]
    book.take([*noise, b"w r.digits.aaaaaaaaaa x -- 1", b"w r.digits.aaaaaaaaaa 200 -- -"])
    assert book.totals(ENDPOINT)[A] == Counters(boot="boot")
    assert book.lost == 2


def test_the_tap_may_begin_anew():
    book, name = a_book(), "r.digits.bbbbbbbbbb"
    book.from_tap({name: Counters(boot="1", mirrored=5, mismatches=2, mirror_latency={3: 5})})
    book.from_tap({name: Counters(boot="1", mirrored=7, inexact=3, mismatches=2, mirror_latency={3: 7})})
    book.from_tap({name: Counters(boot="2", mirrored=1, mirror_dropped=4, mirror_latency={3: 1})})
    seen = book.totals(ENDPOINT)["b" * 10]
    assert (seen.mirrored, seen.inexact, seen.mismatches, seen.mirror_dropped, seen.boot) == (8, 3, 2, 4, "boot")
    assert seen.mirror_latency == {3: 8}


def test_the_window_moves_and_who_left_is_forgotten():
    book = a_book()
    book.take([b"w r.digits.aaaaaaaaaa 200 -- 1000"])
    book.look(0, 10)
    book.take([b"w r.digits.aaaaaaaaaa 200 -- 1000"])
    book.look(20, 10)
    assert book.recent(ENDPOINT)[A].requests <= 1
    book.keep([])
    assert book.totals(ENDPOINT) == {}
