"""The operator's decisions and the cluster's pods, joined."""

from ferryml.domain.routes import Peer, instance_number
from ferryml.router.haproxy.joining import joined
from router_tables import a_table, an_endpoint

A, B = "a" * 10, "b" * 10


def upstreams(table):
    return {one.revision: [(u.host, u.port) for u in one.upstreams] for one in table.endpoints[0].revisions}


def test_each_revision_gets_its_pods_and_those_written_in_the_table_are_nothing():
    table = a_table(an_endpoint(namespace="team", instances=2), generation=7)
    made = joined(table, {("team", A): [("10.1.0.2", 5001), ("10.1.0.1", 5001), ("10.1.0.2", 5001)]})
    assert upstreams(made) == {A: [("10.1.0.1", 5001), ("10.1.0.2", 5001)], B: []}
    assert made.generation == 7
    assert [u.instance for u in made.endpoints[0].revisions[0].upstreams] == [
        instance_number("10.1.0.1"), instance_number("10.1.0.2"),
    ]  # fmt: skip


def test_pods_of_another_namespace_are_strangers():
    table = a_table(an_endpoint(namespace="team"))
    assert upstreams(joined(table, {("other", A): [("10.1.0.1", 5001)]}))[A] == []


def test_what_is_no_address_is_left_out():
    table = a_table(an_endpoint(namespace="team"))
    assert upstreams(joined(table, {("team", A): [("evil.example", 5001), ("fd00::1", 5001)]}))[A] == [
        ("fd00::1", 5001)
    ]


def test_the_other_routers_come_with_it():
    peers = [Peer(name="r1", address="10.0.0.1:9401")]
    assert joined(a_table(), {}, peers).peers == tuple(peers)
