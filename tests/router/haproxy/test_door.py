"""What the operator is told; tests/bootstrap/test_cluster_router.py asks over HTTP."""

import httpx

from ferryml.router.haproxy.door import Asked, Door, Shelf, metrics_of, state_of
from router_play import until

UID, A = "endpoint.ws.digits", "a" * 10


def test_a_shelf_gives_what_is_new():
    shelf = Shelf()
    for number in range(5):
        shelf.put("u", f"i{number}", "r", "1")
    assert [one[2] for one in shelf.after(3)] == ["i3", "i4"]
    assert len(shelf.after(0, most=2)) == 2
    assert shelf.after(5) == []
    assert (shelf.last, Shelf().last) == (5, 0)


async def test_figures_of_a_router(on):
    play = await on()
    model = await play.serve()
    await play.ask()
    model.manner = "raises"
    await play.ask()
    sidecar = play.router.sidecar
    await until(lambda: sidecar.totals(UID)[A].requests == 2)
    state = state_of(sidecar, sidecar.endpoints[0], sidecar.loads()[UID])
    assert state["totals"][A]["errors"] == 1
    assert state["busy"] == [[A, 0, model.port, 0]]
    lines = metrics_of(sidecar).splitlines()
    labels = 'endpoint="digits",deployment="dep-a",revision="aaaaaaaaaa"'
    assert f"ferry_router_errors_total{{{labels}}} 1" in lines
    assert f"ferry_router_latency_ms_count{{{labels}}} 2" in lines
    for code in (200, 502):
        assert f'ferry_router_answers_total{{{labels},how="weighted",code="{code}"}} 1' in lines
    assert f"ferry_router_instances{{{labels}}} 1" in lines
    assert f"ferry_router_queued{{{labels}}} 0" in lines
    assert f"ferry_router_generation {sidecar.acknowledged}" in lines


async def test_it_stops(on):
    play = await on()
    door = Door(Asked(play.router.sidecar, Shelf(), "secret"))
    url = f"http://127.0.0.1:{door.start('127.0.0.1', 0)}"
    assert httpx.get(f"{url}/readyz", trust_env=False).text == "ok"
    door.stop()
    try:
        httpx.get(f"{url}/readyz", trust_env=False)
    except httpx.TransportError:
        return
    raise AssertionError("it still answers")


def test_a_shelf_that_begins_anew_is_read_from_its_beginning():
    shelf = Shelf()
    for number in range(3):
        shelf.put("endpoint.ws.e", str(number), "a", "1")
    assert [one[2] for one in shelf.after(1)] == ["1", "2"]
    assert shelf.after(3) == []
    assert [one[2] for one in shelf.after(900)] == ["0", "1", "2"]
    assert [one[2] for one in shelf.after(0, 2)] == ["0", "1"]
