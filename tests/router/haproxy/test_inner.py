"""What the second tier does beyond the contract of all routers: time in total, streams, large bodies, replicas."""

import asyncio
import socket
import time
from itertools import pairwise

import pytest

from ferryml.domain.routes import Peer, owner
from fixtures_components import unused_port
from router_play import KEY, Model, read_answer, read_body, until

PATH = "/api/v1/endpoint/digits/score"
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode()
UID, A = "endpoint.ws.digits", "a" * 10


class Drips:
    """A model that answers in pieces with pauses."""

    def __init__(self, pieces: int, pause_s: float, chunked: bool) -> None:
        self.pieces, self.pause_s, self.chunked = pieces, pause_s, chunked
        self.sent = 0

    async def start(self) -> "Drips":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.gate = asyncio.Event()
        return self

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            framing = b"transfer-encoding: chunked" if self.chunked else b"content-length: %d" % self.pieces
            writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
            for _ in range(self.pieces):
                writer.write(b"1\r\nx\r\n" if self.chunked else b"x")
                await writer.drain()
                self.sent += 1
                await asyncio.sleep(self.pause_s)
            writer.write(b"0\r\n\r\n" if self.chunked else b"")
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def _dripping(play, **how: object) -> Drips:
    model = await Drips(**how).start()
    play.made.append(model)
    play.models[A] = [model]
    play.limits[A] = {"request_timeout_ms": 1000}
    play.weights = {A: 100}
    play.apply()
    return model


class Keeps:
    """A model that keeps its connections until it is told to close them, or they are."""

    def __init__(self) -> None:
        self.came = self.left = 0
        self.gate = asyncio.Event()

    async def start(self) -> "Keeps":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await read_body(reader, {"content-length": head.split(b"ength: ")[1].split(b"\r")[0].decode()})
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
        except (OSError, EOFError):
            self.left += 1
        finally:
            writer.close()


async def test_connections_to_instances_are_kept_for_a_moment(on):
    """Not for longer: programs close idle ones themselves, and a request that crosses such an end is lost."""
    play = await on()
    play.made += [from_file := await Keeps().start(), added := await Keeps().start()]
    play.limits[A], play.weights = {}, {A: 100}
    for models in ([from_file], [added]):
        play.models[A] = models
        play.apply()
        assert [(await play.ask()).status for _ in range(40)] == [200] * 40
        assert models[0].came < 10
        await until(lambda models=models: models[0].came == models[0].left)
    assert play.router.sidecar.reloads == 1, "HAProxy was told of the second while it ran"


async def test_streams_arrive_as_they_are_made(on):
    play = await on()
    await _dripping(play, pieces=5, pause_s=0.2, chunked=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    began, at = time.monotonic(), []
    writer.write(HEAD + b"content-length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(5):
        await reader.readuntil(b"x\r\n")
        at.append(time.monotonic() - began)
    assert at[0] < 0.3, "the first piece did not wait for the last"
    assert max(late - early for early, late in pairwise(at)) < 0.5
    writer.close()


async def test_an_answer_that_never_ends_is_ended(on):
    play = await on()
    for chunked in (True, False):
        model = await _dripping(play, pieces=200, pause_s=0.1, chunked=chunked)
        reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
        writer.write(HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        said = await asyncio.wait_for(reader.read(), 9)
        assert not said.endswith(b"0\r\n\r\n")
        assert 10 <= model.sent < 80
        writer.close()


async def test_large_bodies_both_ways(on):
    play = await on()
    model = await play.serve(says="y" * 20_000_000, request_timeout_ms=20_000)
    body = b"x" * 20_000_000
    said = await play.ask(body)
    assert said.status == 200
    assert len(said.body) == 20_000_002
    assert model.seen[0][2] == body


async def test_a_body_without_an_end_is_cut(on):
    play = await on(max_body_bytes=1_000_000)
    model = await play.serve(request_timeout_ms=60_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    async def pour() -> None:
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0.02)

    pouring = asyncio.create_task(pour())
    await asyncio.wait({pouring, asyncio.create_task(reader.read())}, timeout=9, return_when="FIRST_COMPLETED")
    pouring.cancel()
    assert not model.seen
    assert (await play.ask()).status == 200
    writer.close()


async def test_a_slow_but_steady_upload_is_not_late(on):
    play = await on()
    model = await play.serve(request_timeout_ms=500)
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    writer.write(HEAD + b"content-length: 400000\r\n\r\n")
    for _ in range(20):
        writer.write(b"x" * 20_000)
        await writer.drain()
        await asyncio.sleep(0.1)
    assert (await asyncio.wait_for(read_answer(reader), 5)).status == 200
    assert len(model.seen[0][2]) == 400_000
    writer.close()


async def test_what_the_model_said_when_it_failed_is_passed_on(on):
    play = await on()
    model = await play.serve()
    model.manner = "raises"
    said = await play.ask()
    assert said.json["error"]["details"] == {"model_status": 500, "model_answer": '{"message": "boom"}'}
    assert said.json["request_id"] == said.headers["x-request-id"]


async def test_another_path_and_limit_hold_at_once(on):
    play = await on()
    model = await play.serve(max_concurrent_requests=1, max_queue_wait_ms=3000)
    reloads = play.router.sidecar.reloads
    play.limits[A] = {"max_concurrent_requests": 3, "max_queue_wait_ms": 3000, "request_timeout_ms": 9000}
    play.apply()
    model.manner = "slow"
    asks = [asyncio.create_task(play.ask()) for _ in range(4)]
    await until(lambda: model.busy == 3)
    model.gate.set()
    assert [(await one).status for one in asks] == [200] * 4
    assert model.most_busy == 3
    assert play.router.sidecar.reloads == reloads


class Silent:
    """An address at which nobody answers, as a dead machine's: its line is full, so the kernel drops who comes."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def start(self) -> "Silent":
        self._door = socket.socket()
        self._door.bind(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._door.listen(0)
        self._waiting = [socket.socket() for _ in range(3)]
        for one in self._waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
        return self

    async def stop(self) -> None:
        for one in (*self._waiting, self._door):
            one.close()


@pytest.mark.parametrize("known", ["from the start", "later"])
async def test_an_instance_that_cannot_be_reached_is_passed_by_until_it_can(on, known):
    play = await on(connect_timeout_s=0.4)
    limits = {"max_concurrent_requests": 2, "request_timeout_ms": 5000}
    lives = await (play.model if known == "from the start" else play.serve)(**limits)
    gone = await Silent().start()
    play.made.append(gone)
    play.models[A].append(gone)
    play.weights = {A: 100}
    play.apply()
    took, said = [], []
    for _ in range(12):
        began = time.monotonic()
        said.append((await play.ask()).status)
        took.append(time.monotonic() - began)
    assert said == [200] * 12
    assert sum(one > 0.4 for one in took) <= 1, "one finds it out, and the others are spared"
    assert len(lives.seen) == 12

    await gone.stop()
    back = Model("back")
    back.port = gone.port
    play.made.append(await back.start())
    seen = set()
    for _ in range(200):
        seen.add((await play.ask()).body)
        if len(seen) == 2:
            break
        await asyncio.sleep(0.02)
    assert seen == {b"1", b'"back"'}


def _ports(count: int) -> set[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(unused_port())
    return found


async def _replicas(on, count: int = 2) -> list:
    """Routers that know one another; the first of the list owns the revision."""
    peers = tuple(Peer(name=f"router-{n}", address=f"127.0.0.1:{port}") for n, port in enumerate(_ports(count)))
    first = owner(peers, UID, A)
    plays = []
    for peer in sorted(peers, key=lambda peer: peer.name != first):
        plays.append(await on(places={"me": peer.name, "peer_bind": peer.address, "peer_secret": "of-the-replicas-1"}))
        plays[-1].router.join(peers)
    return plays


async def test_a_limit_holds_over_all_replicas(on):
    one, other, third = await _replicas(on, 3)
    model = await one.model(A, max_concurrent_requests=2, max_queue_wait_ms=30000)
    model.manner = "slow"
    for play in (one, other, third):
        play.models, play.limits, play.direct, play.weights = one.models, one.limits, one.direct, {A: 100}
        play.apply()
    await until(lambda: all(_is_up(play) for play in (other, third)))
    asks = [asyncio.create_task(play.ask()) for play in (one, other, third) for _ in range(4)]
    await until(lambda: one.router.queued(UID)[A] == 10 and model.busy == 2)
    model.gate.set()
    said = [await ask for ask in asks]
    assert {answer.status for answer in said} == {200}
    assert model.most_busy == 2
    assert {answer.headers["x-request-id"].partition("-")[0] for answer in said} == {A}
    assert not {name for _, headers, _ in model.seen for name in headers if name.startswith("x-ferry")}
    for play in (one, other, third):
        await until(lambda play=play: play.router.totals(UID)[A].requests == 4)


async def test_codes_pass_from_the_owner(on):
    one, other = await _replicas(on)
    model = await one.model(A, max_concurrent_requests=1, max_queue_wait_ms=50, request_timeout_ms=200)
    for play in (one, other):
        play.models, play.limits, play.direct, play.weights = one.models, one.limits, one.direct, {A: 100}
        play.apply()
    await until(lambda: _is_up(other))
    for manner, code in (("dies", "ModelFailed"), ("raises", "ModelFailed"), ("slow", "ModelTimeout")):
        model.manner = "ok"
        assert (await other.ask()).status == 200
        model.manner = manner
        said = await other.ask()
        assert said.code == code, "also where the connection between replicas was used before"
        assert said.json["request_id"] == said.headers["x-request-id"]


async def test_when_the_owner_is_gone_others_serve_within_their_own_limit(on):
    one, other = await _replicas(on)
    model = await other.model(A, max_concurrent_requests=2, max_queue_wait_ms=3000)
    for play in (one, other):
        play.models, play.limits, play.direct, play.weights = other.models, other.limits, other.direct, {A: 100}
        play.apply()
    await until(lambda: _is_up(other))
    await asyncio.to_thread(one.router.haproxy.end, 0)
    assert {(await other.ask()).status for _ in range(20)} == {200}, "also the one that found the owner gone"
    assert not {name for _, headers, _ in model.seen for name in headers if name.startswith("x-ferry")}
    await until(lambda: other.router.totals(UID)[A].requests == 20)
    model.manner = "slow"
    asks = [asyncio.create_task(other.ask()) for _ in range(4)]
    await until(lambda: other.router.queued(UID)[A] == 2 == model.busy)
    model.gate.set()
    assert [(await ask).status for ask in asks] == [200] * 4
    assert model.most_busy == 2


async def test_only_replicas_enter_by_their_door(on):
    one, _ = await _replicas(on)
    model = await one.serve()
    port = int(one.router._places.peer_bind.rpartition(":")[2])
    for secret in ("", "x-ferry-peer: wrong\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST / HTTP/1.1\r\nhost: x\r\n{secret}x-ferry-route: w|r.digits.{A}\r\n\r\n".encode())
        assert (await read_answer(reader)).status == 403
        writer.close()
    assert not model.seen


def _is_up(play) -> bool:
    master = play.router.sidecar._master
    rows = [row.split(",") for row in master.ask(master.current(), "show stat -1 4 -1").splitlines()]
    peers = [row for row in rows if row[0].startswith("peer.") and row[1] != "here"]
    return bool(peers) and all(row[17] == "UP" for row in peers)
