"""What a client gets of an answer when the program is killed in between: all or nothing."""

import asyncio

from ferryml.bootstrap.whole_answers import MOST_BYTES, Gathering


class Line:
    """A transport that remembers each packet."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.packets.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_head_and_body_are_one_packet():
    line = Line()
    gathering = Gathering(line, asyncio.get_running_loop())
    gathering.write(b"head")
    gathering.write(b"body")
    assert line.packets == []
    await asyncio.sleep(0)
    gathering.write(b"next")
    await asyncio.sleep(0)
    assert line.packets == [b"headbody", b"next"]


async def test_nothing_is_lost_at_the_end():
    line = Line()
    gathering = Gathering(line, asyncio.get_running_loop())
    gathering.write(b"last")
    gathering.close()
    await asyncio.sleep(0)
    assert (line.packets, gathering.is_closing()) == ([b"last"], True)


async def test_long_answers_do_not_wait_in_memory():
    line = Line()
    gathering = Gathering(line, asyncio.get_running_loop())
    for _ in range(3):
        gathering.write(b"x" * MOST_BYTES)
    assert len(line.packets) == 1
    await asyncio.sleep(0)
    assert sum(map(len, line.packets)) == 3 * MOST_BYTES
