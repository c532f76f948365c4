"""What every store must remember of what happened, and how it tells others: audit, events, edges, leases, wakes."""

import threading
from datetime import UTC, datetime, timedelta

from ferryml.control.ports import Edge
from ferryml.store.database import SqlStore


def test_audit_and_events_are_kept_in_order_per_workspace(store):
    with store.begin() as tx:
        tx.audit("ada", "vision", "job.create", "a", {"x": 1})
        tx.event("vision", "created", "a", {})
        tx.event("other", "created", "z", {})
        assert [entry.subject for entry in tx.events("vision")] == ["a"]
        tx.event("vision", "started", "b", {"y": [1]})
    with store.read() as tx:
        (row,) = tx.audits("vision")
        assert (row.actor, row.verb, row.subject, row.details) == ("ada", "job.create", "a", {"x": 1})
        first, second = tx.events("vision")
        assert (first.verb, second.verb, second.details) == ("created", "started", {"y": [1]})
        assert first.seq < second.seq
        assert tx.events("vision", after=first.seq) == [second]
        assert tx.events("vision", limit=1) == [first]
        assert tx.events("vision", subject="b") == [second]


def test_old_audit_rows_can_be_forgotten(store_url, store):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    timed = SqlStore(store_url, clock=lambda: now)
    for day in range(3):
        now = datetime(2030, 1, 1 + day, tzinfo=UTC)
        with timed.begin() as tx:
            tx.audit("ada", "vision", "job.create", f"day {day}", {})
            tx.event("vision", "created", f"day {day}", {})
    with timed.begin() as tx:
        assert tx.forget_audits(datetime(2030, 1, 2, 12, tzinfo=UTC)) == 2
        assert [entry.subject for entry in tx.audits("vision")] == ["day 2"]
        assert len(tx.events("vision")) == 3
    timed.close()


def test_edges_are_linked_once_and_found_from_both_ends(store):
    edge = Edge(workspace="vision", source="data:digits:1", relation="input", target="job:fox")
    onward = Edge(workspace="vision", source="job:fox", relation="output", target="model:m:1")
    with store.begin() as tx:
        for each in (onward, edge, edge):
            tx.link(each)
    with store.read() as tx:
        assert tx.edges("vision") == [edge, onward]
        assert tx.edges("vision", source="job:fox") == [onward]
        assert tx.edges("vision", target="job:fox") == [edge]
        assert tx.edges("other") == []


# Leases


def test_a_lease_is_kept_renewed_and_taken_over_when_it_expired(store_url, store):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    timed = SqlStore(store_url, clock=lambda: now)

    def lease(holder, ttl_s=10.0):
        with timed.begin() as tx:
            return tx.lease("jobs", holder, ttl_s)

    assert lease("a")
    assert not lease("b")
    now += timedelta(seconds=9)
    assert lease("a")
    now += timedelta(seconds=9)
    assert not lease("b")
    now += timedelta(seconds=1)
    assert lease("b")
    assert not lease("a")
    assert lease("b", 0)
    assert lease("a")
    timed.close()


# Wakes


def test_a_wake_after_the_look_is_not_lost(store):
    with store.read():
        pass
    store.wake("site:onprem")
    assert store.wait("site:onprem", 5)
    assert not store.wait("site:onprem", 0)


def test_a_waiter_is_woken_by_another_store(store_url, store):
    other = SqlStore(store_url)
    woken = []
    waiter = threading.Thread(target=lambda: woken.append(store.wait("job:fox", 20)))
    waiter.start()
    while waiter.is_alive():
        other.wake("job:fox")
        waiter.join(0.05)
    other.close()
    assert woken == [True]


def test_waiters_for_other_things_sleep_on(store):
    with store.read():
        pass
    store.wake("job:one")
    assert not store.wait("job:two", 0.01)


def test_closing_sends_waiters_home(store):
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(store.wait("loops", 60)))
    waiter.start()
    store.close()
    waiter.join(10)
    assert answers == [False]
