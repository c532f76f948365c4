"""Clusters never share an address, nor take one that somebody else's network has."""

import ipaddress
import itertools

from kubebox.network import MOST_CLUSTERS, Addresses, overlap, raise_limits


def networks(at):
    hub = f"{at.hub}/30"
    return [ipaddress.ip_network(n, strict=False) for n in (at.lan, hub, at.pods, at.services)]


def test_no_two_clusters_overlap():
    every = [network for index in range(MOST_CLUSTERS) for network in networks(Addresses(index))]
    assert not [(a, b) for a, b in itertools.combinations(every, 2) if a.overlaps(b)]


def test_each_address_lies_in_its_network():
    at = Addresses(7)
    lan, hub, pods, services = networks(at)
    assert {ipaddress.ip_address(a) in lan for a in (at.gateway, at.node(0), at.node(9))} == {True}
    assert ipaddress.ip_address(at.uplink) in hub
    assert {ipaddress.ip_address(a) in services for a in (at.api_service, at.dns_service)} == {True}
    assert ipaddress.ip_network(at.node_pods(3)).subnet_of(pods)


def test_networks_in_the_way_are_seen():
    at = Addresses(0)
    assert overlap(at, "10.100.3.0/24")
    assert overlap(at, "10.0.0.0/8")
    assert overlap(at, at.hub)
    assert not overlap(at, "10.99.0.0/16")
    assert not overlap(at, "0.0.0.0/0")


def test_names_fit_a_network_interface():
    assert len(Addresses(MOST_CLUSTERS - 1).namespace(99)) <= 15


def test_limits_are_raised_and_never_lowered(tmp_path):
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("1000000\n")
    raise_limits(tmp_path)
    assert (tmp_path / "max_user_instances").read_text() == "8192"
    assert (tmp_path / "max_user_watches").read_text() == "1000000\n"
