"""A cluster in memory for the tests of its backend."""

from collections.abc import Iterator

import pytest

from kube_jobs_play import PlayCluster


@pytest.fixture
def cluster() -> Iterator[PlayCluster]:
    made = PlayCluster()
    yield made
    made.close()
