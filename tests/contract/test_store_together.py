"""Several at once on one store: cursors are never overtaken, one wins a lease, one wins an update."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ferryml.control.ports import Row
from ferryml.domain.errors import Conflict
from ferryml.store.database import SqlStore, open_store

WRITERS = 3
EACH = 25


class Reader:
    """Reads on from where it was, as an agent does; keeps what it saw."""

    def __init__(self, look):
        self.look = look
        self.seen = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        last_round = False
        while not last_round:
            last_round = self.stop.is_set()
            while batch := self.look(self.seen[-1][0] if self.seen else 0):
                self.seen += batch

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def new_wishes(store, site):
    def look(after):
        with store.read() as tx:
            return [(wish.cursor, wish.uid) for wish in tx.wishes(site, after, 5)]

    return look


def new_events(store):
    def look(after):
        with store.read() as tx:
            return [(entry.seq, entry.subject) for entry in tx.events("vision", after, 5)]

    return look


def test_a_reader_never_skips_a_wish_or_an_event_of_concurrent_writers(store):
    def write(writer):
        for number in range(EACH):
            with store.begin() as tx:
                tx.event("vision", "before", f"{writer}.{number}", {})
                tx.put_wish("onprem", f"{writer}.{number}", {"n": number})
                tx.put_wish(f"other{writer}", "x", {"n": number})

    with (
        Reader(new_wishes(store, "onprem")) as wishes,
        Reader(new_events(store)) as events,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        list(pool.map(write, range(WRITERS)))
    expected = sorted(f"{writer}.{number}" for writer in range(WRITERS) for number in range(EACH))
    assert sorted(uid for _, uid in wishes.seen) == expected
    assert sorted(subject for _, subject in events.seen) == expected
    assert [cursor for cursor, _ in wishes.seen] == list(range(1, len(expected) + 1))


WRITER = """
import sys
from ferryml.store.database import SqlStore
store = SqlStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    with store.begin() as tx:
        tx.put_wish("onprem", f"{sys.argv[2]}.{number}", {"n": number})
"""


def test_a_reader_never_skips_a_wish_of_other_processes(store_url, store):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, store_url, str(writer), str(EACH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in range(2)
    ]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    with Reader(new_wishes(store, "onprem")) as reader:
        for writer in writers:
            writer.stdin.write("\n")
            writer.stdin.flush()
        for writer in writers:
            writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [cursor for cursor, _ in reader.seen] == list(range(1, 2 * EACH + 1))
    assert len({uid for _, uid in reader.seen}) == 2 * EACH


def test_an_event_waits_for_those_with_lower_numbers(store):
    def write_another():
        with store.begin() as tx:
            tx.event("vision", "second", "b", {})

    other = threading.Thread(target=write_another)
    with store.begin() as tx:
        tx.event("vision", "first", "a", {})
        assert len(tx.events("vision")) == 1
        other.start()
        other.join(0.3)
        assert new_events(store)(0) == []
    other.join(20)
    assert [subject for _, subject in new_events(store)(0)] == ["a", "b"]


def test_one_holder_gets_a_contended_lease(store_url, store):
    stores = [SqlStore(store_url) for _ in range(4)]
    start = threading.Barrier(len(stores))

    def ask(number):
        start.wait(20)
        with stores[number].begin() as tx:
            return tx.lease("loops", f"replica-{number}", 600)

    with ThreadPoolExecutor(len(stores)) as pool:
        answers = list(pool.map(ask, range(len(stores))))
    for each in stores:
        each.close()
    assert sorted(answers) == [False, False, False, True]


def test_concurrent_updates_each_count_once(store):
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name="fox", status={"n": 0}))

    def add_one():
        while True:
            with store.read() as tx:
                row = tx.get("job", "vision", "fox")
            try:
                with store.begin() as tx:
                    return tx.update(row.model_copy(update={"status": {"n": row.status["n"] + 1}}))
            except Conflict:
                continue

    with ThreadPoolExecutor(WRITERS) as pool:
        etags = [future.result(60).etag for future in [pool.submit(add_one) for _ in range(15)]]
    with store.read() as tx:
        row = tx.get("job", "vision", "fox")
    assert (row.status, row.etag) == ({"n": 15}, 16)
    assert sorted(etags) == list(range(2, 17))


def test_one_of_many_creates_a_name(store):
    start = threading.Barrier(4)

    def create(_):
        start.wait(20)
        try:
            with store.begin() as tx:
                tx.insert(Row(kind="job", workspace="vision", name="fox"))
        except Conflict as error:
            return error.code
        return "created"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == ["AlreadyExists"] * 3 + ["created"]


def test_one_log_written_twice_at_once_holds_each_byte_once(store):
    data = bytes(range(200)) * 5

    def send(_):
        for start in range(0, len(data), 100):
            with store.begin() as tx:
                tx.append_log("vision", "u", "std_log.txt", start, data[start : start + 100])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, range(2)))
    with store.read() as tx:
        assert tx.read_log("vision", "u", "std_log.txt", 0, 10_000) == data


ACKNOWLEDGER = """
import sys
from ferryml.control.ports import Row
from ferryml.store.database import SqlStore
store = SqlStore(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name=str(number)))
        tx.put_wish("onprem", str(number), {"n": number})
        tx.event("vision", "created", str(number), {})
        tx.append_log("vision", "u", "log", tx.list_logs("vision", "u")[0][1] if number > 1 else 0, b"x")
    print(number, flush=True)
"""


@pytest.mark.parametrize("after_acks", [[1, 7, 20, 3]])
def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(store_url, store, after_acks):
    acknowledged = 0
    for acks in after_acks:
        writer = subprocess.Popen(
            [sys.executable, "-c", ACKNOWLEDGER, store_url, str(_count(store_url))], stdout=subprocess.PIPE, text=True
        )
        for _ in range(acks):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        rest = writer.stdout.read().split()
        writer.wait(20)
        writer.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        assert _count(store_url) in (acknowledged, acknowledged + 1)


def _count(url):
    """How many rows there are; wishes, events and log agree with them."""
    store = open_store(url)
    with store.begin() as tx:
        rows = {row.name for row in tx.find("job", limit=10_000)}
        assert {wish.uid for wish in tx.wishes("onprem", 0, 10_000)} == rows
        assert {entry.subject for entry in tx.events("vision", limit=10_000)} == rows
        assert dict(tx.list_logs("vision", "u")).get("log", 0) == len(rows)
    store.close()
    return len(rows)
