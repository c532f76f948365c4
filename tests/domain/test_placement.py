"""Refusals that say why, and offline as a note only."""

from datetime import UTC, datetime

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.orders import Residency
from ferryml.domain.placement import Ask, Place, check, check_builds
from site_answers import NODE, a_type, inventory

ONPREM = Place(
    "c1", "onprem", "onprem", inventory={"accept_zone_bound": True}, last_seen=datetime(2025, 1, 1, tzinfo=UTC)
)
BOUND = Ask(residency=Residency(zones=("onprem",)))


def a_cluster(**more) -> Place:
    told = inventory(instance_types={"gpu": a_type(), "huge": a_type("64")}, **more)
    return Place("c", "k", "z", "kubernetes", inventory=told, last_seen=ONPREM.last_seen, workspace="team")


def code(ask: Ask, place: Place) -> str:
    with pytest.raises(Refused) as caught:
        check(ask, place)
    assert caught.value.hint
    return caught.value.code


def test_free_work_runs_anywhere():
    assert check(Ask(), ONPREM) == ()
    assert check(BOUND, ONPREM) == ()


def test_another_zone_is_refused():
    assert code(BOUND, Place("c2", "cloud", "cloud", inventory={"accept_zone_bound": True})) == "ResidencyViolation"


def test_a_local_site_must_consent():
    assert code(BOUND, Place("c1", "onprem", "onprem")) == "ConsentMissing"
    assert check(BOUND, Place("c1", "onprem", "onprem", backend="kubernetes")) == ()


def test_data_of_one_site_stays_reachable_only_there():
    assert code(Ask(only_sites={"inputs.data": "edge"}), ONPREM) == "BadReference"
    assert check(Ask(only_sites={"inputs.data": "onprem"}), ONPREM) == ()


def test_unknown_instance_types_are_refused():
    cluster = a_cluster()
    assert code(Ask(instance_type="tpu"), cluster) == "InvalidInstanceType"
    assert check(Ask(instance_type="gpu"), cluster) == ()
    assert check(Ask(instance_type="defaultinstancetype"), cluster) == ()
    assert check(Ask(instance_type="any"), ONPREM) == ()


def test_offline_is_a_note():
    away = Place("c1", "onprem", "onprem", online=False, last_seen=ONPREM.last_seen)
    assert "2025-01-01" in check(Ask(), away)[0]
    assert "joined" in check(Ask(), Place("c1", "onprem", "onprem", online=False))[0]


def test_a_type_that_no_node_can_hold_is_refused_with_the_nearest_that_fits():
    with pytest.raises(Refused) as caught:
        check(Ask(instance_type="huge"), a_cluster())
    assert caught.value.details["nearest"] == "gpu"
    assert "The nearest type that fits is gpu" in caught.value.hint


def test_a_cluster_that_grows_warns_only():
    assert "fits no node" in check(Ask(instance_type="huge"), a_cluster(autoscaled=True))[0]


def test_nodes_that_are_away_may_come_back_and_our_own_taints_are_tolerated():
    away = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    ours = {"key": "ml.azure.com/compute", "value": "c", "effect": "NoSchedule"}
    assert check(Ask(), a_cluster(nodes=[{**NODE, "taints": [away, ours]}])) == ()
    others = {"key": "ml.azure.com/compute", "value": "other", "effect": "NoSchedule"}
    assert code(Ask(), a_cluster(nodes=[{**NODE, "taints": [others]}])) == "InvalidInstanceType"
    assert check(Ask(), a_cluster(nodes=[{**NODE, "taints": [others]}], tolerations=[others])) == ()


def test_switches_of_the_site():
    assert code(Ask(), a_cluster(training=False)) == "TrainingDisabled"
    assert check(Ask(work="endpoint"), a_cluster(training=False)) == ()
    assert code(Ask(work="endpoint"), a_cluster(inference=False)) == "InferenceDisabled"


def test_a_cluster_that_told_of_nothing_takes_anything():
    assert check(Ask(instance_type="tpu"), Place("c", "k", "z", "kubernetes")) == ()


def test_images_are_built_where_there_is_a_registry_to_push_to():
    check_builds(a_cluster(builds=True))
    check_builds(Place("c", "k", "z", "kubernetes"))  # it has not joined yet, and will say so itself
    with pytest.raises(Refused) as caught:
        check_builds(a_cluster())
    assert (caught.value.code, "FERRY_CLUSTER_BUILD_REGISTRY" in caught.value.hint) == ("BuildsDisabled", True)
    with pytest.raises(Refused) as caught:
        check_builds(ONPREM)
    assert caught.value.code == "NotSupported"
