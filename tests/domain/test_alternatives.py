"""Where a job that waits would start now."""

from datetime import UTC, datetime

from ferryml.domain.alternatives import alternatives
from ferryml.domain.orders import Residency
from ferryml.domain.placement import Ask, Place
from site_answers import NODE, a_type, inventory

SEEN = datetime(2025, 1, 1, tzinfo=UTC)
FULL = {**NODE, "free": {"cpu_millis": 500, "memory_bytes": 2**31}}


def place(name="c", backend="kubernetes", online=True, zone="z", **more):
    told = inventory(**more) if backend == "kubernetes" else {"accept_zone_bound": False}
    return Place(name, f"site-{name}", zone, backend, "ml", told, online, SEEN)


def names(ask, here, *others):
    return [(each.compute, each.instance_type) for each in alternatives(ask, here, (here, *others))]


def test_a_smaller_type_of_the_same_compute_comes_first():
    here = place(nodes=[FULL], instance_types={"big": a_type("3"), "tiny": a_type("100m")})
    assert names(Ask(instance_type="big"), here)[0] == ("c", "tiny")


def test_another_compute_with_the_same_type():
    here = place(nodes=[FULL], instance_types={"big": a_type("2")})
    there = place("d", instance_types={"big": a_type("2")})
    assert ("d", "big") in names(Ask(instance_type="big"), here, there)


def test_the_nearest_type_of_another_compute():
    here = place(nodes=[], instance_types={"big": a_type("3")})
    there = place("d", instance_types={"medium": a_type("2"), "tiny": a_type("100m")})
    assert names(Ask(instance_type="big"), here, there) == [("d", "medium")]


def test_places_that_may_not_or_cannot_are_left_out():
    here = place(nodes=[])
    bound = Ask(residency=Residency(zones=("z",)))
    assert names(bound, here, place("d", zone="elsewhere")) == []
    assert names(bound, here, place("d", "local")) == []
    assert names(Ask(), here, place("d", online=False)) == []
    assert names(Ask(), here, place("d", training=False)) == []
    assert names(Ask(only_sites={"inputs.x": "site-c"}), here, place("d")) == []


def test_a_machine_runs_it_as_a_process():
    assert names(Ask(instance_type="small"), place(nodes=[]), place("d", "local")) == [("d", "")]
