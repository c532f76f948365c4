"""Instance types of a site, and those that its nodes suggest."""

from control_play import OWNER
from ferryml.control import instance_types
from ferryml.domain.instance_types import read
from site_answers import NODE, a_cluster


def test_types_and_suggestions(play):
    a_cluster(play, nodes=[{**NODE, "gpus": {"nvidia.com/gpu": 1}}])
    found = instance_types.of_site(play.deps, OWNER, "kube")
    assert [each["name"] for each in found["items"]] == ["defaultinstancetype", "huge", "small"]
    names = [each["metadata"]["name"] for each in found["suggestions"]]
    assert names == ["gpu-1"]
    assert read(found["suggestions"][0])[0].limits["nvidia.com/gpu"] == "1"


def test_a_machine_has_the_default_only(play):
    play.site()
    found = instance_types.of_site(play.deps, OWNER, "cloud")
    assert [each["name"] for each in found["items"]] == ["defaultinstancetype"]
    assert found["suggestions"] == []
