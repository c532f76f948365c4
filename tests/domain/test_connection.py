"""How the two ends of a connection understand each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ferryml.domain.connection import (
    KINDS,
    ConnectionAsk,
    Frame,
    Frames,
    Terminal,
    check_free,
    exit_frame,
    exit_of,
    size_frame,
)
from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.orders import Residency

FRAMES = st.lists(st.builds(Frame, st.sampled_from(KINDS), st.binary(max_size=300)), max_size=8)


@given(FRAMES, st.lists(st.integers(1, 700), max_size=20))
def test_frames_survive_any_cutting(frames, cuts):
    data, found, reader = b"".join(frame.to_bytes() for frame in frames), [], Frames()
    for cut in (*cuts, len(data)):
        found += reader.feed(data[:cut])
        data = data[cut:]
    assert found == frames


@pytest.mark.parametrize("data", [b"\x09\0\0\0\0", b"\0\xff\xff\xff\xff"])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(Refused, match="unknown"):
        list(Frames().feed(data))


def test_sizes_and_ends():
    assert Terminal.model_validate_json(size_frame(Terminal(rows=3, columns=9)).payload).columns == 9
    assert exit_of(exit_frame(7, "why")) == (7, "why")


def test_nobody_looks_at_what_is_bound():
    check_free("j", Residency())
    with pytest.raises(Forbidden, match="onprem") as caught:
        check_free("j", Residency(zones=("onprem",), release=("logs",)))
    assert caught.value.code == "ResidencyViolation"


def test_what_is_asked_is_bounded():
    for wrong in ({"command": ["a\0b"]}, {"command": ["x" * 5000]}, {"rank": -1}, {"terminal": {"rows": 0}}, {"x": 1}):
        with pytest.raises(ValidationError):
            ConnectionAsk.model_validate(wrong)
