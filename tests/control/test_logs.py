"""Logs: by range, and waited for while the job lives."""

import threading

import pytest

from control_play import OWNER, WORKSPACE, said
from ferryml.control import logs
from ferryml.domain.errors import NotFound

PATH = "user_logs/std_log.txt"


def read(play, name, span=(0, 999), wait=0.0):
    return logs.read(play.deps, OWNER, WORKSPACE, name, PATH, span, wait)


def test_ranges(play):
    play.site()
    name = play.running()
    play.entries("cloud", name, said("0123456789"))
    assert logs.list_logs(play.deps, OWNER, WORKSPACE, name) == [{"path": PATH, "size": 10}]
    piece = read(play, name, (2, 3))
    assert (piece.data, piece.size, piece.phase) == (b"234", 10, "Running")
    assert read(play, name, (99, 3)).data == b""


def test_a_reader_waits_for_the_next_line(play):
    play.site()
    name, found = play.running(), []
    waiting = threading.Thread(target=lambda: found.append(read(play, name, wait=20)))
    waiting.start()
    play.entries("cloud", name, said("at last"))
    waiting.join(10)
    assert found[0].data == b"at last"


def test_an_ended_job_is_not_waited_for(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Completed", 2)
    play.turns()
    with pytest.raises(NotFound):
        read(play, name, wait=20)


def test_logs_that_stay_are_said_to(play):
    play.site()
    name = play.running()
    play.reports("cloud", name, "Completed", 2, logs="site")
    play.turns()
    with pytest.raises(NotFound, match="stay on site cloud"):
        read(play, name)
