"""Callers who mean harm, all at once: the others are served, nothing is held, nothing comes through."""

import asyncio
import contextlib

from router_load import HEAD, Load
from router_play import KEY, until

AUTHORISED = f"{HEAD}authorization: Bearer {KEY}\r\n".encode()
HIDDEN = b"POST /hidden HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"


async def _open(port: int, data: bytes, count: int):
    made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in made:
        writer.write(data)
    return made


async def _ended(made) -> None:
    """Every one of them is closed by the router."""
    async with asyncio.timeout(20):
        for reader, writer in made:
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
            writer.close()


async def test_slow_headers_and_bodies_keep_nobody_waiting(anywhere):
    play = await anywhere(idle_timeout_s=1)
    await play.serve(max_concurrent_requests=4, max_queue_wait_ms=5000)
    slow = await _open(play.port, HEAD.encode(), 150)
    slow += await _open(play.port, AUTHORISED + b"content-length: 1000\r\n\r\n[", 50)
    async with Load(play.port, callers=4, kept=False) as load:
        await load.more(40)
    assert set(load.seen) == {200}
    await _ended(slow)
    assert (await play.ask()).status == 200


async def test_bodies_that_break_off_hold_no_place(anywhere):
    play = await anywhere()
    model = await play.serve(max_concurrent_requests=1)
    for _ in range(30):
        ((_, writer),) = await _open(play.port, AUTHORISED + b"content-length: 1000\r\n\r\n[1", 1)
        writer.transport.abort()
    await until(lambda: not model.busy)
    assert (await play.ask()).status == 200
    assert all(len(body) == 3 for _, _, body in model.seen), "what broke off never reached the model"


async def test_a_flood_of_headers_is_refused_and_others_are_served(anywhere):
    play = await anywhere(idle_timeout_s=2)
    await play.serve(max_concurrent_requests=10)
    flood = b"".join(b"x-%d: y\r\n" % number for number in range(5000))
    async with Load(play.port, callers=2, kept=False) as load:
        attack = await _open(play.port, AUTHORISED + flood, 30)
        await load.more(30)
        await _ended(attack)
    assert set(load.seen) == {200}


async def test_guessing_keys_of_one_endpoint_leaves_another_alone(anywhere):
    play = await anywhere()
    await play.serve(max_concurrent_requests=10)
    seen = {(await play.ask(key=f"guess-{number}")).status for number in range(60)}
    assert seen == {401, 429}
    assert (await play.ask(key="")).status in (401, 429)
    assert (await play.ask()).status == 200


SMUGGLED = [
    b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN)),
    b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: xchunked\r\ncontent-length: 3\r\n\r\n[1]",
    b"transfer-encoding : chunked\r\ncontent-length: 3\r\n\r\n[1]",
    b"transfer-encoding:\x0bchunked\r\ncontent-length: 3\r\n\r\n[1]",
    b"content-length: 3\r\ncontent-length: 3, 50\r\n\r\n[1]",
    b"content-length: 3\r\nx: y\r\n\ttransfer-encoding: chunked\r\n\r\n[1]",
    b"content-length: 3\r\nx: y\rtransfer-encoding: chunked\r\n\r\n[1]",
    b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\ncontent-length: 3\r\n\r\n[1]",
]


async def test_no_request_hides_behind_another(anywhere):
    play = await anywhere()
    model = await play.serve(max_concurrent_requests=10)
    for tail in SMUGGLED:
        ((reader, writer),) = await _open(play.port, AUTHORISED + tail + HIDDEN, 1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.5):
                while await reader.read(65536):
                    pass
        writer.close()
    assert (await play.ask()).status == 200
    assert not [line for line, _, _ in model.seen if "hidden" in line]
    assert all(b"hidden" not in body for _, _, body in model.seen)


async def test_tricks_with_paths_reach_nothing_else(anywhere):
    play = await anywhere()
    model = await play.serve()
    for path in (
        "/api/v1/endpoint/digits/score/../../../../admin", "/api/v1/endpoint/digits/score;x",
        "//api/v1/endpoint/digits/score",
        "/api/v1/endpoint/digits%00/score", "/api/v1/endpoint/DIGITS/score", "/api/v1/endpoint/digits/score%2f",
        "http://169.254.169.254/latest", "/api/v1/endpoint/" + "a" * 65 + "/score", "/metrics", "/state",
    ):  # fmt: skip
        assert (await play.ask(path=path)).status in (400, 404), path
    assert not model.seen
