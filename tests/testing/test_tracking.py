"""The tracking server in memory refuses what the real one refuses; the rest is in tests/contract/test_tracking.py."""

import pytest

from ferryml.domain.errors import NotFound
from ferryml.testing.tracking import MemoryTracking


def test_unknown_routes_and_bodies_are_refused():
    tracking = MemoryTracking()
    assert tracking.call("w", "POST", "api/2.0/mlflow/nothing", "", b"{}")[0] == 404
    assert tracking.call("w", "POST", "api/2.0/mlflow/runs/log-metric", "", b"not json")[0] == 400
    assert tracking.call("w", "POST", "api/2.0/mlflow/runs/log-metric", "", b"{}")[0] == 400


def test_it_can_be_away():
    tracking = MemoryTracking()
    tracking.down = True
    assert tracking.call("w", "GET", "x", "", b"")[0] == 503


def test_files_are_those_that_were_put_there():
    tracking = MemoryTracking()
    tracking.files["w", "0/r/artifacts/x"] = b"data"
    size, chunks = tracking.open_file("w", "0/r/artifacts/x")
    assert (size, b"".join(chunks)) == (4, b"data")
    with pytest.raises(NotFound):
        tracking.open_file("other", "0/r/artifacts/x")
