"""The keeper lets out the pods that are named and makes volumes for the claims that ask for them."""

from pathlib import Path

from kubebox.cluster import LET_OUT
from kubebox.keeper import matching, volume


def pod(namespace, name, address):
    return {"metadata": {"namespace": namespace, "name": name}, "status": {"podIP": address} if address else {}}


def test_only_named_pods_with_an_address_are_let_out():
    pods = [
        pod("ferry-system", "ferry-gateway-7d9-x", "10.130.0.5"),
        pod("ferry-system", "ferry-agent-59c-y", "10.130.0.6"),
        pod("ferry-system", "ferry-gateway-7d9-z", ""),
        pod("team", "train-1-0-abc", "10.130.0.9"),
    ]
    assert matching(pods, LET_OUT) == {"10.130.0.5", "10.130.0.6"}
    assert matching(pods, ["team/*"]) == {"10.130.0.9"}


def test_a_volume_is_bound_to_its_claim_alone():
    claim = {
        "metadata": {"name": "data", "namespace": "team", "uid": "1234"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    made = volume(claim, Path("/claims/1234"))["spec"]
    assert (made["claimRef"]["namespace"], made["claimRef"]["name"], made["claimRef"]["uid"]) == (
        "team",
        "data",
        "1234",
    )
    assert made["capacity"] == {"storage": "1Gi"}
    assert made["hostPath"]["path"] == "/claims/1234"
