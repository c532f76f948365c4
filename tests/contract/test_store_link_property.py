"""Whatever is done to wishes in any order: an agent that reads on ends up with exactly what is wished."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ferryml.store.database import SqlStore, open_store

UIDS = st.sampled_from(["a", "b", "c"])
ORDERS = st.one_of(st.none(), st.fixed_dictionaries({"x": st.integers(0, 2)}))


class Wishes(RuleBasedStateMachine):
    """`wished` is the model; `known` is what an agent with a cursor has pieced together."""

    store: SqlStore

    def __init__(self):
        super().__init__()
        self.wished = {}
        self.generations = {}
        self.known = {}
        self.cursor = 0
        with self.store.begin() as tx:
            self.site = f"site{tx.now().timestamp()}-{id(self)}"

    @rule(uid=UIDS, order=ORDERS)
    def wish(self, uid, order):
        with self.store.begin() as tx:
            row = tx.put_wish(self.site, uid, order, lambda generation: f"grant {generation}")
        dropped = uid not in self.wished and uid in self.generations
        if self.wished.get(uid, "nothing") != order and not (dropped and order is None):
            self.generations[uid] = self.generations.get(uid, 0) + 1
            self.wished[uid] = order
        assert row.generation == self.generations[uid]

    @rule(uid=UIDS, order=ORDERS)
    def wish_in_vain(self, uid, order):
        class Stop(Exception):
            pass

        def change():
            with self.store.begin() as tx:
                tx.put_wish(self.site, uid, order)
                raise Stop

        with pytest.raises(Stop):
            change()

    @rule(uid=UIDS)
    def drop_a_tombstone_that_the_agent_knows(self, uid):
        if self.wished.get(uid, "nothing") is None and self.known.get(uid, "nothing") is None:
            with self.store.begin() as tx:
                tx.drop_wish(self.site, uid)
            del self.wished[uid]
            del self.known[uid]

    @rule(limit=st.integers(1, 3))
    def read_on(self, limit):
        with self.store.read() as tx:
            rows = tx.wishes(self.site, self.cursor, limit)
        assert [row.cursor for row in rows] == sorted({row.cursor for row in rows})
        for row in rows:
            assert row.cursor > self.cursor
            assert row.generation == self.generations[row.uid]
            assert row.grant == f"grant {row.generation}"
            self.known[row.uid] = row.order
            self.cursor = row.cursor

    @invariant()
    def what_was_not_read_yet_lies_ahead(self):
        with self.store.read() as tx:
            ahead = {row.uid: row.order for row in tx.wishes(self.site, self.cursor, 100)}
            everything = {row.uid: row.order for row in tx.wishes(self.site, 0, 100)}
        assert everything == self.wished
        assert self.known | ahead == self.wished


def test_wishes_on_sqlite():
    folder = Path(tempfile.mkdtemp())
    try:
        _run(f"sqlite:///{folder}/ferry.db", examples=20)
    finally:
        shutil.rmtree(folder)


def test_wishes_on_postgres(postgres_url):
    _run(postgres_url, examples=8)


def _run(url, examples):
    store = open_store(url)
    machine = type("WishesHere", (Wishes,), {"store": store})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        store.close()
