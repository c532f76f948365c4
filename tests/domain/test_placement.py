"""Refusals that say why, and offline as a note only."""

from datetime import UTC, datetime

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.orders import Residency
from ferryml.domain.placement import Ask, Place, check

ONPREM = Place(
    "c1", "onprem", "onprem", inventory={"accept_zone_bound": True}, last_seen=datetime(2025, 1, 1, tzinfo=UTC)
)
BOUND = Ask(residency=Residency(zones=("onprem",)))


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
    cluster = Place("c", "k", "z", "kubernetes", {"instance_types": {"gpu": {}}}, last_seen=ONPREM.last_seen)
    assert code(Ask(instance_type="tpu"), cluster) == "InvalidInstanceType"
    assert check(Ask(instance_type="gpu"), cluster) == ()
    assert check(Ask(instance_type="defaultinstancetype"), cluster) == ()
    assert check(Ask(instance_type="any"), ONPREM) == ()


def test_offline_is_a_note():
    away = Place("c1", "onprem", "onprem", online=False, last_seen=ONPREM.last_seen)
    assert "2025-01-01" in check(Ask(), away)[0]
    assert "joined" in check(Ask(), Place("c1", "onprem", "onprem", online=False))[0]
