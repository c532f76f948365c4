"""Why a volume does not come."""

import pytest

from explain_play import an_event, checks, facts_of, first
from ferryml.domain.explain import Facts


def test_a_node_without_the_client_of_a_file_system():
    found = first(facts_of("nfs"))
    assert found.check == "volume.nfs"
    assert "unknown filesystem type 'nfs'" in found.cause


@pytest.mark.parametrize(
    ("reason", "text", "check"),
    [
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a',
            "volume.multi-attach",
        ),
        ("FailedAttachVolume", "AttachVolume.Attach failed: rpc error", "volume.attach"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "d": mount failed: access denied by server', "volume.nfs"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "ferry-token" : failed to fetch token', "volume.token"),
        ("FailedMount", "MountVolume.MountDevice failed", "volume.mount"),
        ("ProvisioningFailed", "rpc error: quota of the storage is used up", "claim.provisioning"),
        ("ExternalProvisioning", "Waiting for a volume to be created by the provisioner", "claim.waits"),
    ],
)
def test_events(reason, text, check):
    assert checks(Facts(events=(an_event(reason, text),))) == [check]


@pytest.mark.parametrize(("phase", "check"), [("Lost", "claim.lost"), ("Pending", "claim.pending"), ("Bound", None)])
def test_claims(phase, check):
    claim = {"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}, "status": {"phase": phase}}
    assert checks(Facts(claims=(claim,))) == ([check] if check else [])
