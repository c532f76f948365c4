import socket
import threading

import pytest

from ferryml.runner.frames import Stranger, Talk


def pair(secrets=("s", "s"), abouts=("1", "1")):
    """Both ends, greeted; raises what either side raised."""
    left, right = socket.socketpair()
    made, failed = {}, []

    def called():
        try:
            made["called"] = Talk(right, secrets[1], False, abouts[1])
        except (Stranger, OSError) as error:
            failed.append(error)
            right.close()

    thread = threading.Thread(target=called)
    thread.start()
    try:
        made["caller"] = Talk(left, secrets[0], True, abouts[0])
    except (Stranger, OSError) as error:
        failed.append(error)
        left.close()
    thread.join(5)
    if failed:
        for end in (left, right):
            end.close()
        raise failed[0]
    return made["caller"], made["called"]


@pytest.fixture(autouse=True)
def unix_sockets_have_no_nodelay(monkeypatch):
    monkeypatch.setattr(socket.socket, "setsockopt", lambda *args: None)


def test_words_arrive_in_order_both_ways():
    caller, called = pair()
    caller.send(b"c", b"one")
    caller.send(b"c", b"two")
    assert [called.hear(), called.hear()] == [(b"c", b"one"), (b"c", b"two")]
    called.send(b"x", b"")
    assert caller.hear() == (b"x", b"")
    caller.close()
    with pytest.raises(OSError, match="hung up"):
        called.hear()
    called.close()


@pytest.mark.parametrize(("secrets", "abouts"), [(("a", "b"), ("1", "1")), (("a", "a"), ("1", "2"))])
def test_who_does_not_know_is_a_stranger(secrets, abouts):
    with pytest.raises((Stranger, OSError)):
        pair(secrets, abouts)


class Tampering:
    """A line that lets words pass altered or twice."""

    def __init__(self, line):
        self._line, self.how = line, lambda data: data

    def sendall(self, data):
        self._line.sendall(self.how(data))

    def __getattr__(self, name):
        return getattr(self._line, name)


@pytest.mark.parametrize("how", [lambda data: data.replace(b"good", b"evil"), lambda data: data + data])
def test_an_altered_or_repeated_word_is_noticed(how):
    caller, called = pair()
    caller._line = Tampering(caller._line)
    caller._line.how = how
    caller.send(b"c", b"good")
    with pytest.raises(Stranger):
        [called.hear(), called.hear()]
    caller.close()
    called.close()


def test_a_frame_without_end_is_not_waited_for():
    caller, called = pair()
    caller._line.sendall(b"c\xff\xff\xff\xff")
    with pytest.raises(Stranger, match="too long"):
        called.hear()
    caller.close()
    called.close()
