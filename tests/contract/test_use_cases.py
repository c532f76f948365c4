"""The use cases on every database that the server knows: one whole turn, and what happens at the same time."""

import threading

import pytest

from control_play import OWNER, WORKSPACE, Play, done, said
from ferryml.control import assets, jobs, lineage
from ferryml.control.loops import models
from ferryml.domain.errors import Conflict


@pytest.fixture
def play(store_url, tmp_path):
    made = Play(tmp_path, database_url=store_url)
    yield made
    made.close()


def test_a_whole_turn(play):
    play.site()
    folder = play.folder({"main.py": b"print(1)"})
    content = f"content:tree:{folder.digest}:src"
    assets.create(play.deps, OWNER, WORKSPACE, "data", {"name": "d", "path": content})
    name = play.running(
        code=content, inputs={"d": {"path": "azureml:d@latest"}}, outputs={"m": {"type": "custom_model", "name": "net"}}
    )
    for _ in range(2):
        play.entries("cloud", name, said("one\n"), said("two\n", 4))
    play.reports("cloud", name, "Completed", 2, outputs=done(m=folder))
    play.turns()
    assert play.shown(name)["ferry"]["outputs"]["m"]["asset"] == "model:net:1"
    assert models.tick(play.deps) == 1
    nodes = lineage.lineage(play.deps, OWNER, WORKSPACE, "data:d:1", "down")["nodes"]
    assert nodes[-1]["id"] == "model:net:1"


def test_versions_given_at_the_same_time_are_different(play):
    content = f"content:tree:{play.folder({'f': b'x'}).digest}:d"
    made, refused = [], []

    def create():
        try:
            made.append(assets.create(play.deps, OWNER, WORKSPACE, "data", {"name": "d", "path": content})["version"])
        except Conflict as error:
            refused.append(error.code)

    together(create, 6)
    assert len(made) == len(set(made))
    assert len(made) + len(refused) == 6
    assert not refused


def test_a_name_is_taken_once(play):
    play.site()
    made, refused = [], []

    def create():
        try:
            made.append(play.job(name="mine")["name"])
        except Conflict as error:
            refused.append(error.code)

    together(create, 6)
    assert (made, refused) == (["mine"], ["AlreadyExists"] * 5)
    assert len(play.tracking.runs) == 1


def test_cancel_and_dispatch_at_the_same_time_agree(play):
    play.site()
    names = [play.job()["name"] for _ in range(6)]
    work = iter([play.turns, *[lambda name=name: jobs.cancel(play.deps, OWNER, WORKSPACE, name) for name in names]])
    lock = threading.Lock()

    def one():
        with lock:
            mine = next(work)
        mine()

    together(one, 7)
    play.turns()
    for name in names:
        wished = any(wish.uid.endswith(name) and wish.order.cancel for wish in play.wishes("cloud").wishes)
        assert play.shown(name)["status"] == ("CancelRequested" if wished else "Canceled")


def together(work, count):
    failed = []

    def guarded():
        try:
            work()
        except Exception as error:  # noqa: BLE001  handed to the test
            failed.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
