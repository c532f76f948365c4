from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.store.session import canonical, from_micros, to_micros


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_moments_survive_to_the_microsecond(moment):
    assert from_micros(to_micros(moment)) == moment


def test_moments_of_other_zones_are_the_same_moment():
    there = datetime(2030, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert from_micros(to_micros(there)) == datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert from_micros(to_micros(there)).tzinfo is UTC


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [1, {"c": 2, "d": 3}]}, {"b": [1, {"d": 3, "c": 2}], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
        ("ä\x00\ud800", "ä\x00\ud800", True),
    ],
)
def test_canonical_text_is_equal_when_the_values_are(one, other, same):
    assert (canonical(one) == canonical(other)) is same


def test_canonical_text_is_plain_ascii():
    assert canonical({"ä": "\x00\ud800"}).isascii()
    assert "\x00" not in canonical("\x00")
