"""The operator's hands on routers, as a whole: what no router could serve is refused before it is written."""

from datetime import UTC, datetime

import pytest

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.router_table import TABLE
from ferryml.bootstrap.router_hands import cluster_router
from ferryml.domain.errors import Refused, Unavailable
from kube_play import PlayKube
from router_tables import an_endpoint


def test_it_is_plugged_together():
    kube = PlayKube({"sys"})
    made = cluster_router(kube, "sys", lambda: datetime(2026, 1, 1, tzinfo=UTC), "https://score.example")
    made.start()
    assert made.url == "https://score.example"
    with pytest.raises(Refused, match="cannot be"):
        made.apply(an_endpoint(weights={}, key_hashes=("zz",)))
    assert kube.get(SECRETS, "sys", TABLE) is None
    with pytest.raises(Unavailable, match="no router is ready"):
        made.apply(an_endpoint(weights={}))
    assert kube.get(SECRETS, "sys", TABLE) is not None
    made.stop()
