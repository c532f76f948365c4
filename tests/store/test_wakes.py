import struct
import threading
import time

import pytest

from ferryml.store.wakes import FileWakes, Wakes, _slot


@pytest.fixture(params=["process", "machine"])
def wakes(request, tmp_path):
    made = Wakes() if request.param == "process" else FileWakes(tmp_path / "wakes")
    yield made
    made.close()


def test_a_thread_that_never_looked_waits_for_what_comes(wakes):
    wakes.wake("a")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(wakes.wait("a", 0.01)))
    thread.start()
    thread.join(10)
    assert answers == [False]


def test_what_was_woken_since_the_look_counts_once(wakes):
    wakes.mark()
    wakes.wake("a")
    assert wakes.wait("a", 60)
    assert not wakes.wait("a", 0.01)


def test_a_wake_before_the_look_does_not_count(wakes):
    wakes.wake("a")
    wakes.mark()
    assert not wakes.wait("a", 0.01)


def test_all_waiters_of_a_channel_are_woken(wakes):
    answers = []
    ready = threading.Barrier(5)

    def wait():
        wakes.mark()
        ready.wait(10)
        answers.append(wakes.wait("a", 60))

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    wakes.wake("a")
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 4


def test_any_channel_name_will_do(wakes):
    for name in ("", "job:ä", "\ud800", "x" * 10_000):
        wakes.mark()
        wakes.wake(name)
        assert wakes.wait(name, 10)


def test_programs_share_a_file(tmp_path):
    one, other = FileWakes(tmp_path / "wakes"), FileWakes(tmp_path / "wakes")
    one.mark()
    other.wake("a")
    assert one.wait("a", 10)
    one.close()
    other.close()


def test_moments_from_before_a_restart_of_the_machine_do_not_wake(tmp_path):
    later = time.monotonic_ns() + 10**15
    content = bytearray(4096 * 8)
    struct.pack_into("<q", content, _slot("a") * 8, later)
    (tmp_path / "wakes").write_bytes(bytes(content))
    wakes = FileWakes(tmp_path / "wakes")
    wakes.mark()
    assert not wakes.wait("a", 0.01)
    wakes.close()


def test_after_the_end_nobody_waits(wakes):
    wakes.close()
    assert not wakes.wait("a", 60)
    wakes.wake("a")
