"""Whole programs that a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from system_play import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A running server with one site `local` and compute `here`."""
    made = World(tmp_path)
    try:
        made.serve()
        made.join()
        yield made
    finally:
        made.close()
