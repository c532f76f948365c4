"""Each mode becomes exactly its rules; walls that hold are seen in tests/system_kubernetes."""

import pytest

from kubebox.firewall import OPEN, Firewall, rules
from kubebox.network import Addresses

AT = Addresses(2)


def forward(wall, *let_out):
    chain = rules(AT, wall, let_out).split("chain forward {")[1].split("}")[0]
    return [line.strip() for line in chain.strip().splitlines()[1:]]


def test_modes_combine():
    assert Firewall.parse("") == Firewall.parse("open") == OPEN
    assert Firewall.parse("outbound-only,no-pod-egress") == Firewall(inbound=False, pods_egress=False)
    assert Firewall.parse("proxy-only=3128") == Firewall(inbound=False, proxy="3128")


@pytest.mark.parametrize("text", ["closed", "proxy-only", "proxy-only=hub:3128", "open;drop"])
def test_what_is_no_mode_is_refused(text):
    with pytest.raises(ValueError, match="a firewall is"):
        Firewall.parse(text)


def test_open_lets_everything_pass():
    assert forward(OPEN) == ["ct state established,related accept"]


def test_a_cut_link_stops_also_what_is_under_way():
    assert forward(Firewall(link=False))[:2] == ['iifname "up0" drop', 'oifname "up0" drop']


def test_answers_pass_a_wall_that_stops_newcomers():
    assert forward(Firewall.parse("outbound-only")) == ["ct state established,related accept", 'iifname "up0" drop']


def test_only_the_proxy_is_reached_through_a_proxy_only_wall():
    assert forward(Firewall.parse("proxy-only=3128"))[-2:] == [
        f'oifname "up0" ip daddr {AT.hub} tcp dport 3128 accept',
        'oifname "up0" drop',
    ]


def test_named_pods_leave_where_pods_may_not():
    wall = Firewall.parse("no-pod-egress")
    assert forward(wall)[-1] == f'oifname "up0" ip saddr {AT.pods} ip saddr != @let_out drop'
    assert "elements = { 10.132.0.2, 10.132.0.9 }" in rules(AT, wall, ["10.132.0.9", "10.132.0.2"])
