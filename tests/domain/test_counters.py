"""Counters: two looks give the figures between them, and quantiles are within their promise."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.counters import Counters, bucket, bucket_ms, summed


@given(st.floats(0.06, 300_000))
def test_a_bucket_is_at_most_5_percent_too_high(ms):
    assert ms * 0.9999 <= bucket_ms(bucket(ms)) <= ms * 1.0501


@given(st.lists(st.floats(0.1, 10_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_near_the_true_one(latencies, share):
    seen = Counters(latency=dict(Counter(map(bucket, latencies))))
    rank = max(1, -(-len(latencies) * share // 1))
    true = sorted(latencies)[int(rank) - 1]
    assert true * 0.999 <= seen.quantile_ms(share) <= true * 1.06


def test_without_requests_there_is_no_quantile():
    assert Counters().quantile_ms(0.99) is None


def test_the_difference_of_two_looks():
    mark = Counters(boot="x", requests=10, errors=1, latency={3: 8, 4: 2})
    now = Counters(boot="x", requests=15, errors=3, latency={3: 8, 4: 3, 9: 4}, mirrored=2)
    added = now.since(mark)
    assert (added.requests, added.errors, added.mirrored) == (5, 2, 2)
    assert added.latency == {4: 1, 9: 4}


@pytest.mark.parametrize("mark", [None, Counters(boot="before", requests=100)])
def test_after_a_restart_all_that_is_counted_is_new(mark):
    now = Counters(boot="after", requests=7)
    assert now.since(mark) == now


def test_several_routers_count_each_for_itself():
    mark = summed({"x": Counters(boot="x", requests=10, latency={1: 10}), "y": Counters(boot="y", requests=5)})
    now = summed({"x": Counters(boot="x", requests=12, latency={1: 11, 2: 1}), "z": Counters(boot="z", requests=4)})
    assert (mark.requests, now.requests) == (15, 16)
    added_since = now.since(mark)
    assert added_since.requests == 2 + 4
    assert added_since.latency == {1: 1, 2: 1}
    assert now.since(None) == now
    assert now.since(now).requests == 0


def test_a_sum_survives_the_wire():
    made = summed({"x": Counters(boot="x", requests=10, mirror_latency={2: 1})})
    assert Counters.model_validate_json(made.model_dump_json()) == made


def test_a_mark_of_one_router_says_nothing_of_several():
    now = summed({"x": Counters(boot="x", requests=3)})
    assert now.since(Counters(boot="x", requests=1)).requests == 3


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.lists(st.integers(0, 50), min_size=2, max_size=6))
def test_what_was_added_is_never_negative(before, after):
    mark = summed({str(boot): Counters(boot=str(boot), requests=count) for boot, count in enumerate(before)})
    boots = {str(boot): Counters(boot=str(boot), requests=count + before[boot] if boot < len(before) else count)
             for boot, count in enumerate(after)}  # fmt: skip
    assert summed(boots).since(mark).requests == sum(after)
