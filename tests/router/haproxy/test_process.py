"""HAProxy starts, is refused, ends, and is found beside us."""

import asyncio

import pytest

from ferryml.domain.errors import Defect, Unavailable
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.process import Haproxy, Neighbour, argv, check_config, find_program
from ferryml.router.haproxy.runtime import Master
from router_play import until


def test_a_wrong_configuration_is_told_in_haproxys_words(component, tmp_path):
    program = component("haproxy")["program"]
    assert find_program() == program
    (tmp_path / "haproxy.cfg").write_text("frontend x\n    bogus y\n")
    with pytest.raises(Defect, match="bogus"):
        check_config(program, str(tmp_path / "haproxy.cfg"))
    options = Options(folder=str(tmp_path), run=str(tmp_path)[:80], bind=())
    with pytest.raises(Unavailable, match="did not start"):
        Haproxy(program, options, Master(f"{options.run}/master.sock", options.folder)).begin()


def test_the_command_names_files_and_socket():
    said = argv("haproxy", Options(folder="/f", run="/r", bind=()))
    assert said == ["haproxy", "-W", "-S", "/r/master.sock,mode,600,level,admin", "-f", "/f/haproxy.cfg"]


async def test_what_is_under_way_ends_before_it_does(on):
    play = await on()
    model = await play.serve()
    model.manner = "slow"
    asking = asyncio.create_task(play.ask())
    await until(lambda: model.busy)
    ending = asyncio.create_task(asyncio.to_thread(play.router.haproxy.end, 10))
    await asyncio.sleep(0.3)
    assert not ending.done()
    model.gate.set()
    assert (await asking).status == 200
    await ending
    play.router.haproxy.end(1)


async def test_a_neighbour_that_serves_already_reads_the_files_anew(on, tmp_path):
    play = await on()
    await play.serve()
    master = play.router.sidecar._master
    before = master.current()
    await asyncio.to_thread(Neighbour(find_program(), master).begin)
    assert master.current() != before
    assert (await play.ask()).status == 200


def test_a_neighbour_that_never_comes(component, tmp_path):
    component("haproxy")
    absent = Master(str(tmp_path / "master.sock"), str(tmp_path))
    with pytest.raises(Unavailable):
        Neighbour(find_program(), absent, patience_s=0.1).begin()
