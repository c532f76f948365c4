"""Commands to a real HAProxy, and to one that is not there."""

import pytest

from ferryml.domain.errors import Unavailable
from ferryml.router.haproxy.changes import AddServer, Delete, DrainServer, LimitServer, Put
from ferryml.router.haproxy.runtime import Master
from ferryml.router.haproxy.shape import Server

BACKEND, SERVER = "r.digits.aaaaaaaaaa", "i9_9_127.0.0.1"


@pytest.fixture
async def master(on):
    play = await on()
    await play.serve()
    return play.router.sidecar._master


def shown(master: Master, name: str) -> dict[str, str]:
    lines = master.ask(master.current(), f"show map {master._folder}/maps/{name}").splitlines()
    return {key: value for _, key, value in (line.split(" ", 2) for line in lines if line)}


def servers(master: Master) -> str:
    return master.ask(master.current(), f"show servers state {BACKEND}")


async def test_maps(master):
    master.put_maps([Put("deployments", "digits/x", "one|two", True), Put("deployments", "digits/x", "three", False)])
    assert shown(master, "deployments")["digits/x"] == "three"
    master.put_maps([Put("deployments", "digits/y", "absent before", False)])
    assert "digits/y" in shown(master, "deployments")
    master.put_maps([Delete("deployments", "digits/x"), Delete("deployments", "digits/x")])
    assert "digits/x" not in shown(master, "deployments")
    with pytest.raises(Unavailable, match="refused"):
        master.put_maps([Put("nowhere", "a", "b", True)])


async def test_servers(master):
    master.put_servers([AddServer(BACKEND, SERVER, Server("127.0.0.1:9", 3))])
    master.put_servers([LimitServer(BACKEND, SERVER, 4), DrainServer(BACKEND, SERVER)])
    master.put_servers([AddServer(BACKEND, SERVER, Server("127.0.0.1:9", 5))])
    assert SERVER in servers(master)
    master.put_servers([DrainServer(BACKEND, SERVER), DrainServer(BACKEND, "gone"), DrainServer("r.gone.a", "gone")])
    assert master.remove_server(master.current(), BACKEND, SERVER)
    assert master.remove_server(master.current(), BACKEND, SERVER), "gone is gone"
    assert SERVER not in servers(master)
    for step in (AddServer("r.gone.a", SERVER, Server("127.0.0.1:9", 3)), LimitServer(BACKEND, "gone", 2)):
        with pytest.raises(Unavailable, match="refused"):
            master.put_servers([step])


async def test_a_reload_returns_when_the_next_worker_serves(master):
    before = master.current()
    master.reload()
    assert master.current() != before
    assert master.workers()[0].current


def test_nobody_there(tmp_path):
    master = Master(str(tmp_path / "master.sock"), str(tmp_path))
    with pytest.raises(Unavailable, match="does not answer"):
        master.workers()
    with pytest.raises(Unavailable):
        master.current()
