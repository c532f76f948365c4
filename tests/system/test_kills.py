"""kill -9 at random moments: what was acknowledged is done exactly once, by server and by agent."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from system_play import ENDS, W, World, until

pytestmark = pytest.mark.timeout(240)
JOBS, KILLS = 20, 5


def submit_for_sure(world: World, name: str, command: str) -> None:
    """As a careful client does: asks again until it is answered; a name that exists was taken before."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            said = world.submit(name, command)
        except httpx.HTTPError:
            time.sleep(0.1)
            continue
        if said.status_code == 201 or (said.status_code == 409 and "AlreadyExists" in said.text):
            return
        assert said.status_code >= 500, said.text
    raise AssertionError(f"{name} was never acknowledged")


def test_a_server_that_is_killed_loses_nothing_and_does_nothing_twice(world: World, tmp_path: Path) -> None:
    done, dice = tmp_path / "done", random.Random(7)
    names = [f"job-{n}" for n in range(JOBS)]
    errors: list[BaseException] = []

    def people() -> None:
        try:
            for name in names:
                submit_for_sure(world, name, f"echo {name} >> {done}; sleep 0.2; echo said {name}")
                time.sleep(0.2)
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=people, daemon=True)
    thread.start()
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.2, 2.5))
        world.kill("server")
        world.serve()
    thread.join(120)
    assert not errors
    assert not thread.is_alive()

    def all_ended() -> bool:
        return all(world.job(name)["status"] in ENDS for name in names)

    until(all_ended, 60, lambda: f"{[(n, world.job(n)['status']) for n in names]}\n{world.tail()}")
    assert Counter(done.read_text().split()) == dict.fromkeys(names, 1)
    for name in names:
        job = world.job(name)
        assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1), job
        logs = world.api.get(f"{W}/jobs/{name}/logs/content", params={"path": "user_logs/std_log.txt"}).text
        assert logs == f"said {name}\n"
    assert len(world.get(f"{W}/jobs", limit=100)["items"]) == JOBS


def test_an_agent_that_is_killed_finds_its_work_again(world: World, tmp_path: Path) -> None:
    done, gate, dice = tmp_path / "done", tmp_path / "gate", random.Random(11)
    names = [f"job-{n}" for n in range(8)]
    for name in names:
        said = world.submit(name, f"echo {name} >> {done}; until [ -e {gate} ]; do sleep 0.1; done; echo said {name}")
        assert said.status_code == 201, said.text
    for _ in range(3):
        time.sleep(dice.uniform(0.1, 1.5))
        world.kill("local")
        world.run_site()
    until(lambda: done.exists() and done.read_text(), 60, world.tail)
    world.kill("local")
    gate.touch()
    time.sleep(0.5)
    world.run_site()
    for name in names:
        job = world.settles(name, within_s=90)
        assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1), job
        logs = world.api.get(f"{W}/jobs/{name}/logs/content", params={"path": "user_logs/std_log.txt"}).text
        assert logs == f"said {name}\n"
    assert Counter(done.read_text().split()) == dict.fromkeys(names, 1)
