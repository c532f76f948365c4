"""Weights: every draw falls on someone, in proportion, and never on nobody's share."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.routes import choose

WEIGHTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(-5, 10_000), max_size=6)


@given(WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_a_draw_falls_on_a_positive_weight_or_on_nobody(weights, draw):
    chosen = choose(weights, draw)
    positive = {name for name, weight in weights.items() if weight > 0}
    assert (chosen in positive) if positive else (chosen is None)


@given(st.dictionaries(st.text("abcd", min_size=1, max_size=2), st.integers(0, 50), min_size=1, max_size=5))
def test_even_draws_give_exact_shares(weights):
    total = sum(weights.values())
    seen = Counter(choose(weights, (point + 0.5) / total) for point in range(total))
    assert seen == Counter({name: weight for name, weight in weights.items() if weight})


def test_the_ends():
    assert choose({"a": 90, "b": 10}, 0.0) == "a"
    assert choose({"a": 90, "b": 10}, 0.8999) == "a"
    assert choose({"a": 90, "b": 10}, 0.9) == "b"
    assert choose({"a": 90, "b": 10}, 0.999999) == "b"
    assert choose({}, 0.5) is None
