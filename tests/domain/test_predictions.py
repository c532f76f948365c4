"""What an answer predicts, and when two answers or a label and an answer are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.predictions import DIFFERENT, close, compare, parse, prediction, same_label

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"3", 3), (b"[3]", 3), (b'"cat"', "cat"), (b'["cat"]', "cat"), (b"true", True), (b"0.5", 0.5),
        (b'{"predictions": [7]}', 7), (b'{"result": [7]}', 7), (b'{"result": 7}', 7),
        (b'{"predictions": ["a"], "x": 1}', "a"),
    ],
)  # fmt: skip
def test_a_single_prediction_is_found(body, wanted):
    assert prediction(body) == wanted


@pytest.mark.parametrize(
    "body",
    [b"[1, 2]", b"[[1]]", b"{}", b"null", b"[null]", b"not json", b"NaN", b'{"result": 1, "predictions": 2}', b"[]"],
)
def test_anything_else_is_none(body):
    with pytest.raises(ValueError, match=r".*"):
        prediction(body)


@pytest.mark.parametrize(
    ("predicted", "label", "same"),
    [
        (3, 3, True), (3, 3.0, True), (3, "3", True), ("3", 3, True), (3.0, "3", True), ("cat", "cat", True),
        ("cat ", "cat", True), (3, 4, False), ("cat", "dog", False), (True, 1, False), (True, "true", True),
        (0, False, False), ("nan", "nan", True), (10**400, "x", False),
    ],
)  # fmt: skip
def test_labels_agree_as_numbers_or_text(predicted, label, same):
    assert same_label(predicted, label) is same


@given(JSON)
def test_everything_is_close_to_itself(value):
    assert close(value, value)


def test_rounding_is_close_and_more_is_not():
    assert close({"a": [1.0, 2]}, {"a": [1.0000000001, 2.0]})
    assert not close({"a": [1.0, 2]}, {"a": [1.01, 2]})
    assert not close([1], [1, 1])
    assert not close(True, 1)


def test_mirrored_answers_are_compared_by_value_and_by_label():
    assert compare(b"[3]", b"[3]") == (True, True, True)
    assert compare(b"[3]", b"[3.00000000001]") == compare(b"[3]", b"[ 3]") == (False, True, True)
    assert compare(b'{"result": [3]}', b"[3]") == (False, False, True)
    for live, copy in ((b"[3]", b"[4]"), (b"[1, 2]", b"[1, 3]"), (b"oops", b"[1]"), (b"[" * 5000, b"[1]")):
        assert compare(live, copy) == DIFFERENT == (False, False, False)


def test_too_deep_is_no_json():
    with pytest.raises(ValueError, match="deeply"):
        parse(b"[" * 100_000)
