"""A cluster's heartbeat."""

from __future__ import annotations

from ferryml.bootstrap.cluster_doctor import make_doctor, types_of, wants_of
from ferryml.bootstrap.cluster_inventory import Inventory, types_in
from ferryml.domain.placement import Ask, Place, check
from ferryml.settings import ClusterSettings, SiteSettings
from kube_jobs_play import PlayCluster


def test_a_heartbeat_is_made_of_what_is_in_memory() -> None:
    scene, knobs = PlayCluster(), ClusterSettings(autoscaled=True)
    settings = SiteSettings(server_url="http://127.0.0.1:1")
    doctor = make_doctor(settings, scene.kube, scene.knobs, wants_of(knobs), lambda: types_of(scene.kube))  # type: ignore[arg-type]
    inventory = Inventory(knobs, scene.kube, scene.watched, doctor, scene.knobs, scene.clock, lambda: None)  # type: ignore[arg-type]
    scene.launch()
    scene.settle()
    scene.pod(scene.job(), phase="Running")
    beat = inventory.heartbeat()
    scene.close()
    assert "look" in beat.capabilities
    told = beat.inventory
    assert (told["kubernetes"], told["autoscaled"], told["training"]) == ("1.34.4", True, True)
    assert [node["name"] for node in told["nodes"]] == ["node-1"]
    assert set(told["instance_types"]) == {"defaultinstancetype"}
    assert types_in(scene.watched)[0].keys() == {"defaultinstancetype"}
    # what placement is asked with
    assert Place("c", "s", "z", "kubernetes", inventory=told).nodes[0].name == "node-1"
    assert check(Ask(), Place("c", "s", "z", "kubernetes", inventory={**told, "nodes": []})) == ()
