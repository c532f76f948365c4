"""The cluster's knobs: their names in the environment, and what an empty list means."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.settings import ClusterSettings, load


def test_an_empty_list_of_namespaces_means_all_of_them() -> None:
    assert ClusterSettings().allowed_namespaces() == ()
    said = load(ClusterSettings, {"FERRY_CLUSTER_NAMESPACES": "team-a, team-b,"})
    assert said.allowed_namespaces() == ("team-a", "team-b")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(Refused, match="FERRY_CLUSTER_RUNNER_IMAGE"):
        load(ClusterSettings, {"FERRY_CLUSTER_RUNER_IMAGE": "x"})


@pytest.mark.parametrize("name", ["GANG", "LEASE_S", "IMAGE_PULL_POLICY"])
def test_what_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"FERRY_CLUSTER_{name}"):
        load(ClusterSettings, {f"FERRY_CLUSTER_{name}": "-1"})
