"""Endpoints: names, keys, traffic."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import OnlineEndpoint
from ferryml.domain.spec.endpoint import check_traffic


def read(**more):
    return parse(OnlineEndpoint, {"name": "my-endpoint", **more})


def test_defaults():
    endpoint = read(compute="azureml:onprem", auth_mode="Key").spec
    assert (endpoint.compute, endpoint.auth_mode, endpoint.traffic) == ("onprem", "key", {})


def test_several_computes_are_a_list():
    for written in (["azureml:a", "b"], ("a", "b"), "[azureml:a, b]"):
        endpoint = read(compute=written).spec
        assert (endpoint.compute, endpoint.keys) == (("a", "b"), "shared")
        assert read(**endpoint.model_dump(mode="json", exclude_none=True)).spec == endpoint
    assert read(compute=["a"], keys="Separate").spec.keys == "separate"


@pytest.mark.parametrize("traffic", [{}, None, {"blue": 100}, {"blue": "90", "green": 10}, {"blue": 0, "green": 0}])
def test_good_traffic(traffic):
    assert sum(read(traffic=traffic).spec.traffic.values()) in (0, 100)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"traffic": {"blue": 110}}, "TrafficInvalid"),
        ({"traffic": {"blue": 50, "green": 49}}, "TrafficInvalid"),
        ({"traffic": {"blue": -10, "green": 110}}, "BadValue"),
        ({"traffic": {"b_lue": 100}}, "BadName"),
        ({"mirror_traffic": {"blue": 51}}, "TrafficInvalid"),
        ({"mirror_traffic": {"blue": 10, "green": 10}}, "TrafficInvalid"),
        ({"auth_mode": "aad_token"}, "NotSupported"),
        ({"name": "x"}, "BadName"),
        ({"compute": []}, "BadValue"),
        ({"compute": ["a", "azureml:a"]}, "BadValue"),
        ({"compute": ["a", {}]}, "BadValue"),
        ({"compute": {}}, "BadValue"),
        ({"compute": [f"c{n}" for n in range(21)]}, "BadValue"),
        ({"keys": "mine"}, "BadValue"),
        ({"auth_mode": "aml_token", "keys": "separate"}, "BadValue"),
        ({"name": "ends-"}, "BadName"),
        ({"name": "x" * 33}, "BadName"),
    ],
)
def test_refuses(more, code):
    with pytest.raises(Refused) as refused:
        read(**more)
    assert refused.value.code == code


def test_managed_means_nothing():
    endpoint, warnings = read(type="managed")
    assert "managed" in warnings[0]
    assert "type" not in endpoint.model_dump()


def test_check_traffic_gives_it_back():
    assert check_traffic({"a": 40, "b": 60}) == {"a": 40, "b": 60}
