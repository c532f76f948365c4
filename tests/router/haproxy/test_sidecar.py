"""Changes under load: nobody loses a request, every worker learns, and the least is done."""

import asyncio
import contextlib
import os
import signal
import socket

import pytest

from ferryml.domain.errors import Defect
from router_load import HEAD, Load
from router_play import KEY, OTHER, digest, read_answer, until

UID, A, B, C = "endpoint.ws.digits", "a" * 10, "b" * 10, "c" * 10


async def test_a_weight_moves_at_once_and_without_a_reload(on):
    play = await on()
    await play.model(A, "a", max_concurrent_requests=50)
    await play.model(B, "b", max_concurrent_requests=50)
    play.weights = {A: 100}
    play.apply()
    reloads = play.router.sidecar.reloads
    async with Load(play.port) as load:
        for turn in range(10):
            await load.more(30)
            play.weights = {A: 0, B: 100} if turn % 2 == 0 else {A: 100, B: 0}
            await play.apply_aside()
            assert (await play.ask()).json == ("b" if turn % 2 == 0 else "a")
    assert set(load.seen) == {200}
    assert play.router.sidecar.reloads == reloads


async def test_new_revisions_and_instances_lose_no_request(on):
    play = await on()
    await play.model(A, "a", max_concurrent_requests=50)
    play.weights = {A: 100}
    play.apply()
    async with Load(play.port) as kept, Load(play.port, kept=False) as fresh:
        for letter in "bcde":
            await kept.more(30)
            await play.model(letter * 10, letter, max_concurrent_requests=50)
            await play.apply_aside()
            play.weights = {letter * 10: 100}
            await play.apply_aside()
            await fresh.more(10)
            assert (await play.ask()).json == letter
            for gone in [name for name in play.models if name != letter * 10]:
                play.models.pop(gone)
            play.direct = {f"dep-{letter}": letter * 10}
            await play.apply_aside()
        for _ in range(3):
            await play.model("e" * 10, "e", max_concurrent_requests=50)
            await play.apply_aside()
            await kept.more(20)
            play.models["e" * 10].pop(0)
            await play.apply_aside()
            await kept.more(20)
    assert set(kept.seen) == {200}
    assert set(fresh.seen) == {200}
    assert play.router.sidecar.reloads == 5, "one for each revision"


async def test_a_worker_that_is_being_replaced_learns_too(on):
    play = await on()
    await play.model(A, "a", max_concurrent_requests=50)
    play.weights = {A: 100}
    play.apply()
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    request = f"{HEAD}authorization: Bearer {KEY}\r\ncontent-length: 3\r\n\r\n[1]".encode()
    writer.write(request)
    assert (await read_answer(reader)).json == "a"
    await play.model(B, "b", max_concurrent_requests=50)
    await play.apply_aside()
    play.weights = {B: 100}
    await play.apply_aside()
    writer.write(request)
    assert (await read_answer(reader)).json == "b", "answered through the old worker, by the new table"
    writer.close()


async def test_a_revoked_key_is_refused_by_old_workers_and_new(on):
    play = await on()
    await play.serve(max_concurrent_requests=20)
    reader, writer = await asyncio.open_connection("127.0.0.1", play.port)
    request = f"{HEAD}authorization: Bearer {KEY}\r\ncontent-length: 3\r\n\r\n[1]".encode()
    writer.write(request)
    assert (await read_answer(reader)).status == 200
    async with Load(play.port, key=OTHER) as load:
        await load.more(20)
        await play.model(B)
        await play.apply_aside()
        route = play.router.sidecar.endpoint(UID)
        await asyncio.to_thread(play.router.apply, route.model_copy(update={"key_hashes": (digest(OTHER),)}))
        writer.write(request)
        assert (await read_answer(reader)).status == 401
        assert (await play.ask()).status == 401
        await load.more(20)
    assert set(load.seen) == {200}
    writer.close()


async def test_instances_that_leave_are_taken_out_when_idle(on):
    play = await on()
    model = await play.serve(max_concurrent_requests=2)
    model.manner = "slow"
    asking = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    play.models[A] = []
    await play.apply_aside()
    other = await play.model(A, 2)
    await play.apply_aside()
    assert (await play.ask()).json == 2
    assert play.router.busy(UID)[A, 0, model.port] == 1
    model.gate.set()
    assert (await asking).json == 1
    master = play.router.sidecar._master
    await until(lambda: f"_{model.port}_" not in master.ask(master.current(), "show servers conn"))
    assert play.router.busy(UID) == {(A, 0, other.port): 0}


async def test_an_instance_that_comes_back_while_it_leaves(on):
    play = await on()
    model = await play.serve(max_concurrent_requests=2)
    model.manner = "slow"
    asking = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    for models in ([], [model]):
        play.models[A] = models
        await play.apply_aside()
    model.manner = "ok"
    assert (await play.ask()).status == 200
    model.gate.set()
    assert (await asking).status == 200
    await asyncio.sleep(0.6)
    assert (await play.ask()).status == 200


async def test_a_killed_worker_comes_back_with_the_last_table(on):
    play = await on()
    await play.serve(max_concurrent_requests=20)
    for limit in (30, 40):
        play.limits[A] = {"max_concurrent_requests": limit}
        await play.apply_aside()
    os.kill(play.router.sidecar._master.current(), signal.SIGKILL)
    with contextlib.suppress(Exception):
        play.router.haproxy._process.wait(5)
    # without its worker the master ends, as a container does, and is started anew with the same files
    play.router.haproxy.end(1)
    await asyncio.to_thread(play.router.haproxy.begin)
    assert (await play.ask()).status == 200
    before = play.router.totals(UID)[A].requests
    await until(lambda: play.router.sidecar._rings.followed() == {play.router.sidecar._master.current()})
    await play.ask()
    await until(lambda: play.router.totals(UID)[A].requests > before)
    play.weights = {A: 0}
    await play.apply_aside()
    assert (await play.ask()).status == 404


async def test_counts_survive_reloads(on):
    play = await on()
    await play.serve(max_concurrent_requests=20)
    async with Load(play.port, kept=False) as load:
        for letter in "bcd":
            await load.more(40)
            await play.model(letter * 10)
            await play.apply_aside()
    assert set(load.seen) == {200}
    total = load.seen[200]
    await until(lambda: play.router.totals(UID)[A].requests >= total)
    await until(lambda: len(play.router.sidecar._master.workers()) == 1)
    assert play.router.totals(UID)[A].requests == total
    assert play.router.totals(UID)[A].errors == 0


async def test_a_slow_reader_loses_no_count_when_old_workers_end(on, monkeypatch):
    monkeypatch.setattr("ferryml.router.haproxy.ring._PACE_S", 0.4)
    play = await on()
    await play.serve(max_concurrent_requests=20)
    async with Load(play.port, kept=False) as load:
        for letter in "bc":
            await load.more(40)
            await play.model(letter * 10)
            await play.apply_aside()
        await load.more(40)
    await until(lambda: play.router.totals(UID)[A].requests == load.seen[200])
    await until(lambda: len(play.router.sidecar._master.workers()) == 1)
    assert play.router.totals(UID)[A].requests == load.seen[200]


async def test_a_masters_door_that_is_shut_for_a_long_reload_ends_no_reading(on, tmp_path):
    play = await on()
    await play.serve(max_concurrent_requests=20)
    sidecar = play.router.sidecar
    door = f"{sidecar._options.run}/master.sock"
    serving = sidecar._master.current()
    os.rename(door, tmp_path / "open")
    with socket.socket(socket.AF_UNIX) as shut:
        shut.bind(door)  # and nobody listens
        with sidecar._lock:  # as while a change is made
            sidecar._shut_since -= 60
            await asyncio.sleep(0.6)
            os.rename(tmp_path / "open", door)
    async with Load(play.port) as load:
        await load.more(40)
    await until(lambda: play.router.totals(UID)[A].requests == load.seen[200])
    assert serving in sidecar._rings.followed() - sidecar._left


async def test_a_worker_that_was_left_too_early_is_read_on(on):
    play = await on()
    await play.serve(max_concurrent_requests=20)
    async with Load(play.port) as load:
        await load.more(40)
    await until(lambda: play.router.totals(UID)[A].requests == load.seen[200])
    sidecar = play.router.sidecar
    await until(lambda: len(sidecar._rings.followed()) == 1)
    with sidecar._lock:
        [pid] = sidecar._rings.followed()
        sidecar._left.add(pid)
        sidecar._rings.leave(pid)
        await until(lambda: not sidecar._rings.followed())
    await until(lambda: sidecar._rings.followed() == {pid})
    async with Load(play.port) as more:
        await more.more(40)
    await until(lambda: play.router.totals(UID)[A].requests == load.seen[200] + more.seen[200])


async def test_a_table_that_cannot_be_is_refused_and_the_old_one_serves(on):
    play = await on()
    await play.serve()
    route = play.router.sidecar.endpoint(UID)
    hostile = "x\n    http-request deny"
    for changes in ({"name": hostile}, {"uid": "a|b"}, {"direct": {hostile: A}}, {"key_hashes": ("zz",)}):
        with pytest.raises(Exception, match="cannot be"):
            play.router.apply(route.model_copy(update=changes))
    assert (await play.ask()).status == 200
    assert play.router.sidecar.acknowledged == play.router._generation - 4


class Sulking:
    """HAProxy's program that refuses a file once."""

    def __init__(self, program) -> None:
        self._program, self.refuses = program, True

    def check(self, config: str) -> None:
        if self.refuses:
            self.refuses = False
            raise Defect("Internal", "no")
        self._program.check(config)


async def test_after_a_change_that_failed_everything_is_made_sure(on):
    play = await on()
    await play.serve()
    sidecar, base = play.router.sidecar, play.router.base
    sidecar._program, reloads = Sulking(sidecar._program), sidecar.reloads
    before = (base / "files" / "haproxy.cfg").read_text()
    route = sidecar.endpoint(UID)
    await play.model(B, 2)
    with pytest.raises(Defect):
        play.apply()
    assert (base / "files" / "haproxy.cfg").read_text() == before, "a file that HAProxy refuses is never in place"
    assert (await play.ask()).status == 200
    play.router.apply(route)
    assert sidecar.reloads == reloads + 1
    assert "bbbbbbbbbb" not in (base / "files" / "maps" / "revisions").read_text()
    assert (await play.ask(azureml_model_deployment="dep-b")).status == 404
    play.apply()
    assert (await play.ask(azureml_model_deployment="dep-b")).json == 2
