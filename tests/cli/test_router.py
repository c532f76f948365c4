"""`ferry router`."""

import pytest


@pytest.mark.parametrize("verb", ["sidecar", "tap"])
def test_settings_that_are_wrong_are_named(typed, monkeypatch, verb):
    monkeypatch.setenv("FERRY_ROUTER_NO_SUCH_KNOB", "1")
    said = typed("router", verb)
    assert said.code != 0
    assert "FERRY_ROUTER_NO_SUCH_KNOB" in said.err
