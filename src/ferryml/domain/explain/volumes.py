"""Why a volume does not come: attaching, mounting, and claims that nothing fills."""

from __future__ import annotations

from ferryml.domain.explain.clues import Kind
from ferryml.domain.explain.kit import Look, Rule

_EVENT: tuple[Kind, ...] = ("event",)

RULES: tuple[Look, ...] = (
    Rule(
        "volume.multi-attach",
        "VolumeNotReady",
        _EVENT,
        r'Multi-Attach error for volume "(?P<volume>[^"]+)":? ?(?P<why>.*)',
        "the volume {volume} is in use on another node: {why}",
        "Wait for the other pod, or use a volume with access mode ReadWriteMany.",
        98,
    ),
    Rule(
        "volume.nfs",
        "VolumeNotReady",
        _EVENT,
        r"MountVolume\.SetUp failed for volume \"(?P<volume>[^\"]+)\".*?mount(?:ing)?.*?(?P<why>No such file or "
        r"directory|access denied by server|Connection (?:refused|timed out)|No route to host|bad option|Permission "
        r"denied|unknown filesystem type[^\n]*|wrong fs type[^\n]*)",
        "the volume {volume} cannot be mounted: {why}",
        "Check server and path of the datastore, its export for the nodes, and that nodes have the NFS client.",
        96,
    ),
    Rule(
        "volume.object-missing",
        "VolumeNotReady",
        _EVENT,
        r'FailedMount: .*?(?P<kind>configmap|secret) "(?P<name>[^"]+)" not found',
        "the {kind} {name} that the pod mounts does not exist",
        "IT makes it in the compute's namespace; if it is Ferry's own, it comes within seconds.",
        90,
    ),
    Rule(
        "volume.token",
        "VolumeNotReady",
        _EVENT,
        r"failed to fetch token|MountVolume\.SetUp failed for volume \"ferry-token\"",
        "the kubelet cannot get the pod's token from the API",
        "IT looks at the kubelet and the API server of the node.",
        90,
    ),
    Rule(
        "volume.attach",
        "VolumeNotReady",
        _EVENT,
        r"FailedAttachVolume: (?P<why>.*)",
        "a volume cannot be attached: {why}",
        "IT looks at the CSI driver: kubectl get volumeattachments.",
        92,
        last="family",
    ),
    Rule(
        "volume.mount",
        "VolumeNotReady",
        _EVENT,
        r"FailedMount: (?P<why>.*)",
        "a volume cannot be mounted: {why}",
        "IT looks at the volume and the node.",
        80,
        last="family",
    ),
    Rule(
        "claim.no-class",
        "VolumeNotReady",
        _EVENT,
        r"no persistent volumes available for this claim and no storage class is set",
        "the volume claim matches no volume, and names no storage class that would make one",
        "IT makes a PersistentVolume, or names a storage class in the claim (or a default one in the cluster).",
        97,
    ),
    Rule(
        "claim.class-missing",
        "VolumeNotReady",
        _EVENT,
        r'storageclass\.storage\.k8s\.io "(?P<name>[^"]+)" not found',
        "there is no storage class {name} in the cluster",
        "IT corrects the claim: kubectl get storageclass.",
        98,
    ),
    Rule(
        "claim.provisioning",
        "VolumeNotReady",
        _EVENT,
        r"ProvisioningFailed: (?P<why>.*)",
        "the storage class cannot make the volume: {why}",
        "IT looks at the provisioner of the storage class.",
        94,
    ),
    Rule(
        "claim.waits",
        "VolumeNotReady",
        _EVENT,
        r"ExternalProvisioning: (?P<why>.*)",
        "the volume claim waits for its provisioner",
        "If it lasts, IT checks that the provisioner of the storage class runs.",
        70,
        level="warning",
    ),
    Rule(
        "claim.lost",
        "VolumeNotReady",
        ("claim",),
        r"^Lost",
        "{where} has lost its volume",
        "IT restores the volume or makes the claim anew.",
        97,
    ),
    Rule(
        "claim.pending",
        "VolumeNotReady",
        ("claim",),
        r"^Pending: (?P<class>.*)",
        "{where} is not bound to a volume ({class})",
        "See kubectl describe pvc in the namespace.",
        60,
        level="warning",
        last="family",
    ),
)
