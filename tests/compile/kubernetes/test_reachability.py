import pytest

from ferryml.compile.kubernetes.reachability import Peer, allows, selects

WEB, DB, OUT = Peer("a", {"app": "web"}), Peer("a", {"app": "db"}), Peer(ip="10.0.0.7")
FAR = Peer("b", {"app": "web"}, {"team": "x"})


def a_policy(namespace="a", pods=None, **spec):
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": pods or {}, **spec}}


def into_db(*peers, ports=()):
    rule = {**({"from": list(peers)} if peers else {}), **({"ports": list(ports)} if ports else {})}
    return [a_policy(pods={"matchLabels": {"app": "db"}}, policyTypes=["Ingress"], ingress=[rule])]


def test_without_a_policy_all_is_open():
    assert allows([], WEB, DB, 1)
    assert allows([a_policy("b", policyTypes=["Ingress"])], WEB, DB, 1)


def test_a_policy_without_rules_closes():
    assert not allows([a_policy(policyTypes=["Ingress"])], WEB, DB, 1)
    assert not allows([a_policy(policyTypes=["Egress"])], WEB, OUT, 1)
    assert not allows([a_policy()], WEB, DB, 1)


def test_only_selected_pods_are_closed():
    closed = [a_policy(pods={"matchLabels": {"app": "db"}}, policyTypes=["Ingress"])]
    assert not allows(closed, WEB, DB, 1)
    assert allows(closed, DB, WEB, 1)


@pytest.mark.parametrize(
    ("peer", "opened"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, {"WEB"}),
        ({"podSelector": {}}, {"WEB"}),
        ({"namespaceSelector": {}}, {"WEB", "FAR"}),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {}}, {"FAR"}),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}}}, {"FAR"}),
        ({"ipBlock": {"cidr": "10.0.0.0/8"}}, {"OUT"}),
        ({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}}, set()),
    ],
)  # fmt: skip
def test_rules_open_for_their_peers_alone(peer, opened):
    known = into_db(peer)
    found = {name for name, other in (("WEB", WEB), ("FAR", FAR), ("OUT", OUT)) if allows(known, other, DB, 1)}
    assert found == opened


def test_a_rule_without_peers_opens_for_all_and_one_without_ports_all_ports():
    assert allows(into_db(), OUT, DB, 9)


@pytest.mark.parametrize(
    ("given", "port", "protocol", "fits"),
    [
        ({"port": 80}, 80, "TCP", True), ({"port": 80}, 81, "TCP", False), ({"port": 53}, 53, "UDP", False),
        ({"port": 53, "protocol": "UDP"}, 53, "UDP", True), ({"port": 80, "endPort": 90}, 85, "TCP", True),
        ({"protocol": "TCP"}, 5, "TCP", True),
    ],
)  # fmt: skip
def test_ports_are_held_to(given, port, protocol, fits):
    assert allows(into_db(ports=[given]), WEB, DB, port, protocol) is fits


def test_both_ends_must_agree():
    out = a_policy(pods={"matchLabels": {"app": "web"}}, egress=[{"to": [{"podSelector": {}}]}], policyTypes=["Egress"])
    assert allows([out], WEB, DB, 1)
    assert not allows([out, a_policy(policyTypes=["Ingress"])], WEB, DB, 1)


def test_policies_add_up():
    closed = a_policy(policyTypes=["Ingress"])
    assert allows([closed, *into_db({"podSelector": {}})], WEB, DB, 1)


@pytest.mark.parametrize(
    ("operator", "values", "takes"),
    [("In", ["web"], True), ("NotIn", ["web"], False), ("Exists", [], True), ("DoesNotExist", [], False)],
)
def test_selectors_know_expressions(operator, values, takes):
    each = {"key": "app", "operator": operator, "values": values}
    assert selects({"matchExpressions": [each]}, {"app": "web"}) is takes


def test_an_unknown_operator_is_no_match_but_an_error():
    with pytest.raises(ValueError, match="Like"):
        selects({"matchExpressions": [{"key": "a", "operator": "Like"}]}, {})
