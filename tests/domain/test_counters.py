"""Counters: two looks give the figures between them, and quantiles are within their promise."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.counters import Counters, bucket, bucket_ms


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
