"""Every use case is tried on a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_play import Play


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.close()
