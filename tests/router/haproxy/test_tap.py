"""The tap by itself: what it sends, how it compares, and where it stops."""

import asyncio
import base64

import pytest

from ferryml.domain.routes import RouterTable
from ferryml.router.haproxy.tap import Tap, TapLimits
from router_play import until
from router_tables import a_revision, a_table, an_endpoint

A, B, NAME = "a" * 10, "b" * 10, "r.digits.bbbbbbbbbb"


class Inner:
    """Stands in for HAProxy's inner tier."""

    def __init__(self, path) -> None:
        self.path, self.seen, self.says, self.gate = str(path), [], [b"HTTP/1.1 200 OK\r\n", b"1"], asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> "Inner":
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.seen.append(await reader.readuntil(b"\r\n\r\n"))
            await self.gate.wait()
            writer.write(self.says[0] + b"content-length: %d\r\n\r\n" % len(self.says[1]) + self.says[1])
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def a_copy(answer: bytes = b"1", kind: str = "wc-", number: int = 0) -> bytes:
    packed = [base64.b64encode(part) or b"-" for part in (b"", b"a: b\r\n", b"[1]", answer)]
    name = b"%s-%016x" % (A.encode(), number)
    return b" ".join([name, b"r.digits.aaaaaaaaaa", kind.encode(), b"POST", *packed, b"."])


def mirrored(percent: int = 100, **limits: object) -> RouterTable:
    return a_table(an_endpoint(mirror={B: percent}, revisions=(a_revision("a"), a_revision("b", **limits))))


@pytest.fixture
async def tap(tmp_path):
    made = Tap(str(tmp_path / "inner.sock"), "boot", lambda: 0.5, TapLimits(queue=3))
    made.use(mirrored())
    yield made
    await made.stop()


async def test_answers_are_compared(tap, tmp_path):
    async with Inner(tmp_path / "inner.sock") as inner:
        for number, (said, answer) in enumerate(((b"1", b"1.0"), (b"2", b"1"), (b'"x"', b"1"))):
            inner.says[1] = said
            tap.take(a_copy(answer))
            await until(lambda number=number: tap.counters()[NAME].mirrored == number + 1)
    seen = tap.counters()[NAME]
    assert (seen.mirrored, seen.inexact, seen.mismatches, seen.disagreements, seen.mirror_errors) == (3, 3, 2, 2, 0)
    assert b"x-ferry-route: m|r.digits.bbbbbbbbbb" in inner.seen[0]


async def test_errors_and_absence(tap, tmp_path):
    tap.take(a_copy())
    await until(lambda: tap.counters()[NAME].mirror_errors == 1)
    async with Inner(tmp_path / "inner.sock") as inner:
        for head in (b"HTTP/1.1 502 Bad\r\n", b"nonsense\r\n"):
            inner.says[0] = head
            before = tap.counters()[NAME].mirror_errors
            tap.take(a_copy())
            await until(lambda before=before: tap.counters()[NAME].mirror_errors == before + 1)
        inner.says[0] = b"HTTP/1.1 400 Bad\r\n"
        tap.take(a_copy())
        await until(lambda: tap.counters()[NAME].mismatches == 1)


async def test_a_full_shadow_is_asked_again_until_patience_ends(tap, tmp_path):
    tap.use(mirrored(request_timeout_ms=1, max_queue_wait_ms=1))
    async with Inner(tmp_path / "inner.sock") as inner:
        inner.says = [b"HTTP/1.1 503 No\r\n", b'{"error": {"code": "QueueWaitExceeded"}}']
        tap.take(a_copy())
        await until(lambda: len(inner.seen) > 2)
        await until(lambda: tap.counters()[NAME].mirror_dropped == 1)
    assert tap.counters()[NAME].mirrored == 0


async def test_the_line_is_bounded_and_so_is_what_runs(tap, tmp_path):
    async with Inner(tmp_path / "inner.sock") as inner:
        inner.gate.clear()
        for number in range(10):
            tap.take(a_copy(number=number))
        assert tap.counters()[NAME].mirror_dropped == 7
        await until(lambda: len(inner.seen) == 1)
        inner.gate.set()
        await until(lambda: tap.counters()[NAME].mirrored == 3)


async def test_what_cannot_be_copied_is_counted(tap):
    for line in (a_copy(kind="wx-"), a_copy(answer=b""), a_copy()[:-20]):
        tap.take(line)
    assert tap.counters()[NAME].mirror_dropped == 3
    tap.take(a_copy(kind="w--"))
    tap.take(b"garbage")
    assert tap.counters()[NAME].mirror_dropped == 3


async def test_shares_of_several_shadows(tap, tmp_path):
    shadows = {B: 40, "c" * 10: 10}
    tap.use(a_table(an_endpoint(mirror=shadows, revisions=tuple(a_revision(letter) for letter in "abc"))))
    # HAProxy samples 40 %; of these every one is for the first and a quarter for the second: 0.5 is not among those
    async with Inner(tmp_path / "inner.sock"):
        tap.take(a_copy())
        await until(lambda: tap.counters()[NAME].mirrored == 1)
    assert tap.counters()["r.digits.cccccccccc"].mirrored == 0


async def test_predictions_are_kept_for_labels(tap):
    tap.take(a_copy(b'{"predictions": [7]}', "d--", 1))
    tap.take(a_copy(b"[1, 2]", "w--"))
    tap.take(a_copy(b"[" + b" " * 5000 + b"1]", "w--"))
    assert tap.captured() == [("endpoint.ws.digits", f"{A}-{1:016x}", A, "7")]
    assert tap.captured() == []
    tap.use(a_table(an_endpoint(revisions=(a_revision("a", capture=False),))))
    tap.take(a_copy(b"7", "w--"))
    assert tap.captured() == []


async def test_who_left_the_table_is_forgotten(tap):
    tap.use(a_table(an_endpoint("other")))
    tap.take(a_copy())
    assert tap.counters() == {}


async def test_its_socket_speaks_lines(tap, tmp_path):
    await tap.start(str(tmp_path / "tap.sock"))
    assert (tmp_path / "tap.sock").stat().st_mode & 0o077 == 0
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "tap.sock"))
    writer.write(b"T " + mirrored().model_dump_json().encode() + b"\nC " + a_copy(b"3", "w--") + b"\n?\nL\n")
    assert b'"3"]' in await reader.readline()
    writer.close()
