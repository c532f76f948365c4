"""Limits of the router that must not be switched off by accident."""

import pytest

from ferryml.settings import RouterSettings


@pytest.mark.parametrize("field", ["max_body_bytes", "max_connections", "counter_window_s"])
def test_a_limit_of_zero_is_refused(field):
    with pytest.raises(ValueError, match=field):
        RouterSettings(**{field: 0})


def test_mirroring_can_be_switched_off():
    assert RouterSettings(mirror_queue=0).mirror_queue == 0
