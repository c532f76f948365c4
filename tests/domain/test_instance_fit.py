import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.explain.places import nodes
from ferryml.domain.instance_fit import check_fit, fits, nearest, suggest, summary
from ferryml.domain.instance_types import read, table

GIB = 2**30


def a_node(name="n1", cpu=4, memory=16, **more):
    return {"name": name, "ready": True, "cpu_millis": cpu * 1000, "memory_bytes": memory * GIB, **more}


def a_type(name="t", cpu="1", memory="2Gi", gpu=None, **spec):
    amounts = {"cpu": cpu, "memory": memory}
    limits = {**amounts, **({"nvidia.com/gpu": gpu} if gpu else {})}
    document = {"metadata": {"name": name}, "spec": {"resources": {"requests": amounts, "limits": limits}, **spec}}
    return read(document)[0]


def types(*kinds):
    return {**table([])[0], **{kind.name: kind for kind in kinds}}


GPU_NODE = a_node("g", gpus={"nvidia.com/gpu": 2}, taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (a_type(cpu="8"), r"cpu 8.05 wanted, 4 allocatable \(1 of 1 nodes\)"),
        (a_type(memory="16Gi"), "memory 16.1 GiB wanted, 16 GiB allocatable"),
        (a_type(gpu=1), "nvidia.com/gpu 1 wanted, 0 allocatable"),
        (a_type(nodeSelector={"pool": "x"}), "no label pool=x"),
    ],
)
def test_it_is_said_what_a_type_lacks(kind, why):
    fit = fits(kind, nodes([a_node()]))
    assert not fit.ok
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(fit.why)


def test_equal_is_enough():
    assert fits(a_type(cpu="4", memory="16Gi"), nodes([a_node()]), beside={}).ok


def test_taints_must_be_tolerated_by_type_or_site():
    tolerates = [{"key": "gpu", "operator": "Equal", "value": "yes"}]
    found = nodes([GPU_NODE])
    assert "taint gpu=yes:NoSchedule" in fits(a_type(gpu=1), found).why
    assert fits(a_type(gpu=1, tolerations=tolerates), found).nodes == ("g",)
    assert fits(a_type(gpu=1), found, tolerates).ok


def test_what_starts_now_looks_at_what_is_free():
    busy = nodes([a_node(free={"cpu_millis": 500, "memory_bytes": GIB})])
    assert fits(a_type(), busy).ok
    assert "free" in fits(a_type(), busy, now=True).why
    assert "not ready" in fits(a_type(), nodes([a_node(ready=False)]), now=True).why


def test_a_cluster_without_nodes_fits_nothing():
    assert fits(a_type(), ()).why == "the cluster has no nodes"


def test_the_nearest_type_has_the_gpus_before_the_cores():
    known = types(a_type("big", "3"), a_type("gpu-1", gpu=1), a_type("gpu-8", "3", gpu=8))
    open_node = {**GPU_NODE, "taints": []}
    assert nearest(known["gpu-8"], known, nodes([open_node])).name == "gpu-1"
    assert nearest(a_type("x", "64"), known, nodes([a_node()])).name == "big"
    assert nearest(known["big"], {"big": known["big"]}, nodes([a_node()])) is None


def test_a_type_no_node_can_hold_is_refused_with_the_nearest():
    known = types(a_type("huge", "64"), a_type("big", "3"))
    with pytest.raises(Refused, match="huge fits no node: cpu 64") as caught:
        check_fit(known, "huge", nodes([a_node()]), autoscaled=False)
    assert (caught.value.code, caught.value.details["nearest"]) == ("InvalidInstanceType", "big")
    assert "cpu 3, memory 2 GiB" in caught.value.hint


def test_a_cluster_that_grows_or_told_nothing_refuses_nothing():
    known = types(a_type("huge", "64"))
    assert "until the cluster adds one" in check_fit(known, "huge", nodes([a_node()]), autoscaled=True)
    assert check_fit(known, "huge", (), autoscaled=False) == ""
    assert check_fit(known, "", nodes([a_node()]), autoscaled=False) == ""


def test_a_type_in_words():
    assert summary(a_type(gpu=2)) == "cpu 1, memory 2 GiB, 2 nvidia.com/gpu"
    assert summary(types()["defaultinstancetype"]) == "cpu 100m to 2, memory 2 GiB"


def test_suggested_types_fit_the_nodes_they_come_from():
    label = {"node.kubernetes.io/instance-type": "Standard_NC6"}
    eight = a_node("g", 16, 64, gpus={"nvidia.com/gpu": 8}, labels=label, taints=GPU_NODE["taints"])
    found = nodes([a_node(), a_node("n2"), eight])
    made = suggest(found)
    assert [kind.name for kind in made] == [
        "cpu-large", "cpu-small", "gpu-1-standard-nc6", "gpu-2-standard-nc6", "gpu-4-standard-nc6",
        "gpu-8-standard-nc6",
    ]  # fmt: skip
    assert all(fits(kind, found).ok for kind in made)
    assert made[0].limits["cpu"] == "3550m"


def test_like_nodes_make_one_set_without_selector_and_sick_ones_none():
    assert [kind.spec.node_selector for kind in suggest(nodes([a_node(), a_node("n2")]))] == [{}, {}]
    assert suggest(nodes([a_node(ready=False), a_node(cordoned=True)])) == ()
