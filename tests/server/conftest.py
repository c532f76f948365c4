"""Routes are tried over HTTP, on a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from http_play import Http


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Http]:
    made = Http(tmp_path)
    yield made
    made.close()
