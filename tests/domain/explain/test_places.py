"""Nodes compared."""

from explain_play import recorded
from ferryml.domain.explain.places import freest, largest, nodes, repels, requests, selects, taint_words, tolerated

GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def test_nodes_of_the_api_and_of_a_heartbeat_are_one():
    (api,) = nodes(recorded()["nodes"]["one"])
    assert (api.name, api.ready, api.cordoned, api.allocatable["cpu"]) == ("dev", True, False, 2)
    told = {
        "name": "n", "ready": False, "cordoned": True, "cpu_millis": 500, "memory_bytes": 5, "disk_bytes": 7,
        "gpus": {"nvidia.com/gpu": 2}, "labels": {"a": "b"}, "taints": [GPU], "free": {"cpu_millis": 250},
    }  # fmt: skip
    (ours,) = nodes([told])
    assert (ours.ready, ours.cordoned, ours.taints) == (False, True, (GPU,))
    assert ours.allocatable == {"cpu": 0.5, "memory": 5, "ephemeral-storage": 7, "nvidia.com/gpu": 2}
    assert (largest([api, ours], "cpu"), freest([api, ours], "cpu"), freest([api], "cpu")) == (2, 0.25, None)
    assert selects({"a": "b"}, ours)
    assert not selects({"a": "c"}, ours)


def test_requests_count_sidecars_and_the_largest_init_container():
    def container(cpu: str, **more: object) -> dict[str, object]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("1")],
        "initContainers": [container("500m", restartPolicy="Always"), container("3")],
    }
    assert requests({"spec": spec})["cpu"] == 3.5
    assert requests({"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 1}}}]}}) == {
        "nvidia.com/gpu": 1
    }


def test_taints():
    assert tolerated(GPU, [{"operator": "Exists"}])
    assert tolerated(GPU, [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}])
    assert tolerated(GPU, [{"key": "gpu", "value": "yes"}])
    assert not tolerated(
        GPU, [{"key": "gpu", "value": "no"}, {"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]
    )
    (node,) = nodes([{"name": "n", "taints": [GPU, {"key": "p", "effect": "PreferNoSchedule"}]}])
    assert repels(node, ()) == (GPU,)
    assert taint_words(GPU) == "gpu=yes:NoSchedule"
