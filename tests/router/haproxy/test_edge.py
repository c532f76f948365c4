"""What the first tier does beyond the contract of all routers: kept connections, HTTP/2, CORS, hostile callers."""

import asyncio
import socket

import httpx
import pytest

from router_play import KEY, read_answer, until

PATH = "/api/v1/endpoint/digits/score"
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode()
ONE = HEAD + b"content-length: 3\r\n\r\n[1]"


async def test_a_crash_on_a_kept_connection_is_502_too(on):
    play = await on()
    model = await play.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    for manner, status in (("ok", 200), ("dies", 502), ("ok", 200), ("babble", 502), ("half", 502), ("ok", 200)):
        model.manner = manner
        writer.write(ONE)
        assert (await read_answer(reader)).status == status, manner
    assert len(model.seen) == 6, "never sent twice"
    writer.close()


async def test_the_last_request_of_a_kept_connection_is_answered(on):
    """HAProxy ends, and nobody comes after it: the inner tier takes no more connections."""
    play = await on()
    await play.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    writer.write(ONE)
    assert (await read_answer(reader)).status == 200
    ending = asyncio.create_task(asyncio.to_thread(play.router.haproxy.end, 20))
    await until(lambda: _refuses(play.port))
    writer.write(ONE)
    assert (await read_answer(reader)).status == 200
    assert await reader.read() == b"", "and closed then"
    writer.close()
    await ending


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


async def test_an_idle_caller_may_wait_for_a_slow_model(on):
    play = await on(idle_timeout_s=0.3)
    model = await play.serve(request_timeout_ms=3000)
    model.manner = "slow"
    asking = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    await asyncio.sleep(0.8)
    model.gate.set()
    assert (await asking).status == 200


async def test_slow_headers_and_bodies_end_and_hold_no_place(on):
    play = await on(idle_timeout_s=0.3)
    model = await play.serve(max_concurrent_requests=1, max_queue_wait_ms=50)
    halves = [await asyncio.open_connection("127.0.0.1", play.port) for _ in range(20)]
    for number, (_, writer) in enumerate(halves):
        writer.write(HEAD if number % 2 else HEAD + b"content-length: 100\r\n\r\n[1")
    assert (await play.ask()).status == 200
    assert [(await asyncio.wait_for(read_answer(reader), 5)).status for reader, _ in halves] == [408] * 20
    assert len(model.seen) == 1
    for _, writer in halves:
        writer.close()


async def test_web_origins_that_may_call(on):
    play = await on(cors_origins="https://a.example https://b.example")
    await play.serve()
    said = await play.ask(b"", method="OPTIONS", key="", origin="https://b.example")
    assert said.status == 204
    assert said.headers["access-control-allow-origin"] == "https://b.example"
    assert "azureml-model-deployment" in said.headers["access-control-allow-headers"]
    assert (await play.ask(origin="https://a.example")).headers["access-control-allow-origin"] == "https://a.example"
    said = await play.ask(b"", method="OPTIONS", key="", origin="https://evil.example")
    assert said.status == 405
    assert "access-control-allow-origin" not in said.headers


async def test_without_the_setting_origins_get_nothing(on):
    play = await on()
    await play.serve()
    assert "access-control-allow-origin" not in (await play.ask(origin="https://a.example")).headers


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_probes(on, path):
    play = await on()
    said = await play.ask(b"", path=path, method="GET", key="")
    assert (said.status, said.body) == (200, b"ok")


async def test_callers_cannot_choose_the_way_inside(on):
    play = await on()
    model = await play.serve()
    said = await play.ask(key="wrong", x_ferry_route="w|r.digits.aaaaaaaaaa", x_ferry_peer="x")
    assert said.status == 401
    said = await play.ask(x_ferry_route="m|r.digits.bbbbbbbbbb", x_request_id="mine", connection="x-ferry-route")
    assert said.status == 200
    assert not {name for name in model.seen[0][1] if name.startswith("x-ferry")}
    assert model.seen[0][1]["x-request-id"] == said.headers["x-request-id"] != "mine"


async def test_an_upgrade_does_not_open_a_tunnel(on):
    play = await on()
    model = await play.serve()
    said = await play.ask(connection="upgrade, http2-settings", upgrade="h2c", http2_settings="AAMAAABkAAQAAP__")
    assert said.status == 200
    assert "upgrade" not in model.seen[0][1]


async def test_a_caller_who_leaves_the_line_is_not_served(on):
    play = await on()
    model = await play.serve(max_concurrent_requests=1, max_queue_wait_ms=5000)
    model.manner = "slow"
    first = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    gone = [await asyncio.open_connection("127.0.0.1", play.port) for _ in range(5)]
    for _, writer in gone:
        writer.write(ONE)
    await until(lambda: play.router.queued("endpoint.ws.digits")["a" * 10] == 5)
    for _, writer in gone:
        writer.close()
    await until(lambda: play.router.queued("endpoint.ws.digits")["a" * 10] == 0)
    model.gate.set()
    assert (await first).status == 200
    assert (await play.ask()).status == 200
    assert len(model.seen) == 2


async def test_the_largest_endpoint_splits_as_told(on):
    play = await on()
    shares = {"a": 40, "b": 20, "c": 15, "d": 10, "e": 8, "f": 4, "g": 2, "h": 1}
    for letter in shares:
        await play.model(letter * 10, letter, max_concurrent_requests=50)
    play.weights = {letter * 10: weight for letter, weight in shares.items()}
    play.apply()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    answers = []
    for _ in range(600):
        writer.write(ONE)
        answers.append((await read_answer(reader)).json)
    writer.close()
    for letter, share in shares.items():
        expected = 6 * share
        assert abs(answers.count(letter) - expected) <= 5 * expected**0.5 + 1, letter


async def test_http2_in_the_clear_and_a_crash_in_it(on):
    play = await on()
    model = await play.serve()
    bearer = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False, headers=bearer) as client:
        url = f"http://127.0.0.1:{play.port}{PATH}"
        assert [(await client.post(url, content=b"[1]")).status_code for _ in range(3)] == [200] * 3
        model.manner = "dies"
        said = await client.post(url, content=b"[1]")
    assert (said.http_version, said.status_code, said.json()["error"]["code"]) == ("HTTP/2", 502, "ModelFailed")
    assert len(model.seen) == 4, "the client was not told to send it again"
