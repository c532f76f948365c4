"""The lease of a site's agents, as an object that installations make empty."""

from __future__ import annotations

import pytest

from ferryml.backends.kubernetes.kinds import LEASES
from ferryml.backends.kubernetes.lease import KubeLease
from ferryml.domain.errors import Conflict
from kube_play import PlayKube
from site_play import PlayClock


@pytest.mark.parametrize("made", [False, True])
def test_taken_renewed_given_up(made: bool) -> None:
    kube, clock = PlayKube({"ferry-system"}), PlayClock()
    if made:
        kube.write({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "ferry-agent", "namespace": "ferry-system"},
        })  # fmt: skip
    book = KubeLease(kube, "ferry-system", 15, clock)
    free = book.read()
    assert free.holder == ""
    mine = book.write("a", free)
    assert (mine.holder, mine.duration_s) == ("a", 15)
    clock.passes(2)
    mine = book.write("a", book.read())
    spec = (kube.get(LEASES, "ferry-system", "ferry-agent") or {})["spec"]
    assert spec["renewTime"] > spec["acquireTime"]
    assert spec["leaseTransitions"] == 0
    assert book.write("", mine).holder == ""


def test_a_stale_look_cannot_take_it() -> None:
    kube, clock = PlayKube({"ferry-system"}), PlayClock()
    a, b = KubeLease(kube, "ferry-system", 15, clock), KubeLease(kube, "ferry-system", 15, clock)
    seen_a, seen_b = a.read(), b.read()
    a.write("a", seen_a)
    with pytest.raises(Conflict):
        b.write("b", seen_b)
    before = b.read()
    clock.passes(1)
    a.write("a", a.read())
    with pytest.raises(Conflict):
        b.write("b", before)
