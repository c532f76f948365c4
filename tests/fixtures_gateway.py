"""A gateway and the server it speaks to, for every test that needs both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_play import PlayPlace
from server_play import PlayServer


@pytest.fixture
def play_server() -> Iterator[PlayServer]:
    """A stand-in server on a free port."""
    server = PlayServer()
    yield server
    server.close()


@pytest.fixture
def gateway(tmp_path: Path, play_server: PlayServer) -> Iterator[PlayPlace]:
    """A gateway whose forwarder is turned by hand."""
    place = PlayPlace(tmp_path, play_server)
    yield place
    place.close()
