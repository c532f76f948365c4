"""A cluster's gateway for every test that needs one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_gateway_play import PlayClusterGateway
from server_play import PlayServer


@pytest.fixture
def pods_gateway(tmp_path: Path, play_server: PlayServer) -> Iterator[PlayClusterGateway]:
    """Joined, nobody let in yet."""
    play = PlayClusterGateway(tmp_path, play_server)
    yield play
    play.close()
