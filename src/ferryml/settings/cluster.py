"""The knobs of a site that is a Kubernetes cluster: where its own pods live, what it may touch, how it runs work."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ferryml.settings.knob import Knob, OptionalPath, Settings


class ClusterSettings(Settings):
    """Read from FERRY_CLUSTER_* and the section `cluster`; the site's own knobs (`SiteSettings`) hold beside it.

    Lists are separated by commas; `*_json` knobs hold JSON as it stands in a manifest.
    """

    section: ClassVar[str] = "cluster"

    # What it may touch
    system_namespace: Annotated[str, Knob("Namespace of agent and gateway, with their keys; no work runs in it.")] = (
        "ferry-system"
    )
    environments_namespace: Annotated[
        str, Knob("Namespace in which environments are prepared and the doctor tries things; no key lies in it.")
    ] = "ferry-environments"
    namespaces: Annotated[
        str, Knob("Namespaces that computes may use, each with its RoleBinding.", off="empty: all (cluster-wide mode)")
    ] = ""
    create_namespaces: Annotated[
        bool, Knob("Make a compute's namespace when it is missing; in cluster-wide mode only.", off="false")
    ] = False
    training: Annotated[bool, Knob("Whether jobs may run here.", off="false")] = True
    inference: Annotated[bool, Knob("Whether endpoints may be served here.", off="false")] = True

    doctor_probe: Annotated[
        Literal["start", "asked", "never"],
        Knob(
            "When the doctor makes pods that try images, names and network policies: once after the agent has started "
            "and when it is asked, or only when it is asked.",
            off="never: what only pods can show stays unknown",
        ),
    ] = "start"

    # Images
    runner_image: Annotated[str, Knob("Image that brings inputs and collects outputs beside the user's container.")] = (
        "ferry-runner:latest"
    )
    default_image: Annotated[str, Knob("Image of jobs whose environment names none.")] = (
        "docker.io/library/python:3.11-bookworm"
    )
    image_registry: Annotated[
        str, Knob("Registry put before user images that name none, host[:port][/path].", off="empty")
    ] = ""
    image_aliases_json: Annotated[
        str, Knob('Image -> image, e.g. {"mcr.microsoft.com/a:1": "registry.local/a:1"}.', off="empty")
    ] = ""
    image_pull_secrets: Annotated[str, Knob("Secrets in each namespace for pulling images.", off="empty")] = ""
    image_pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"], Knob("When images of Ferry's own are pulled.")
    ] = "IfNotPresent"

    # Images that are built here
    build_registry: Annotated[
        str, Knob("Registry to which built images are pushed, HOST[:PORT][/PATH].", off="empty: no images are built")
    ] = ""
    build_secret: Annotated[
        str,
        Knob(
            "Secret (kubernetes.io/dockerconfigjson) in builds_namespace for pulling base images and pushing.",
            off="empty: a registry without a password",
        ),
    ] = ""
    build_insecure: Annotated[bool, Knob("The registry of builds speaks plain HTTP.", off="false")] = False
    build_ca: Annotated[
        OptionalPath, Knob("PEM file of certificate authorities for the registry of builds.", off="empty")
    ] = None
    build_proxy: Annotated[
        str,
        Knob("HTTP proxy for base images and commands of Dockerfiles, which see it: no password.", off="empty"),
    ] = ""
    builds_namespace: Annotated[
        str, Knob("Namespace in which images are built; its Pod Security level must be privileged.")
    ] = "ferry-builds"
    builder_image: Annotated[str, Knob("Image with buildah, in which images are built.")] = "ferry-builder:latest"
    build_user_namespaces: Annotated[
        bool,
        Knob("Build in pods with a user namespace (hostUsers: false), where the cluster has them.", off="false"),
    ] = False
    build_cpu: Annotated[str, Knob("CPU of a build.", unit="Kubernetes quantity")] = "1"
    build_memory: Annotated[str, Knob("Memory of a build.", unit="Kubernetes quantity")] = "4Gi"
    build_storage: Annotated[str, Knob("Disk of a build: about three times its image.", unit="Kubernetes quantity")] = (
        "30Gi"
    )
    build_timeout_s: Annotated[float, Field(gt=0), Knob("Longest time a build may take.", unit="s")] = 3600

    # Where work may run
    workload_node_selector_json: Annotated[str, Knob("Node labels that every workload asks for.", off="empty")] = ""
    workload_tolerations_json: Annotated[
        str, Knob("Tolerations of workloads beside the fixed ones of Ferry.", off="empty")
    ] = ""
    autoscaled: Annotated[
        bool,
        Knob("Nodes come and go: a type that fits no present node is a warning, no refusal.", off="false"),
    ] = False
    priority_class: Annotated[str, Knob("PriorityClass of jobs that name none.", off="empty")] = ""
    scheduler_name: Annotated[str, Knob("Scheduler of workloads.", off="empty: the cluster's default")] = ""
    gang: Annotated[
        Literal["check", "timeout", "kueue"],
        Knob("How jobs of several pods start: when all fit, all or none within gang_timeout_s, or by Kueue."),
    ] = "check"
    gang_timeout_s: Annotated[
        float, Field(gt=0), Knob("Time in which all pods of a gang must be placed before all are released.", unit="s")
    ] = 120
    kueue_queue: Annotated[str, Knob("Kueue LocalQueue of jobs that name none.", off="empty")] = ""

    # What user containers may do
    network_policies: Annotated[
        bool, Knob("Keep everyone but its own ranks from a job's pods, by NetworkPolicies.", off="false")
    ] = True
    egress: Annotated[
        Literal["open", "gateway"],
        Knob("Where jobs without zone-bound data may connect to: anywhere, or to gateway and DNS alone."),
    ] = "open"
    pod_security: Annotated[
        Literal["baseline", "restricted"],
        Knob("restricted refuses images that run as root, for namespaces that enforce that level."),
    ] = "baseline"
    run_as_user: Annotated[
        int,
        Field(ge=0),
        Knob("User and group of Ferry's own containers.", off="0: the cluster chooses, as OpenShift must"),
    ] = 65532

    # Pace
    image_patience_s: Annotated[
        float,
        Field(ge=0),
        Knob("Time an image may fail to come, or a Secret be missing, before the job fails.", unit="s"),
    ] = 120
    node_lost_s: Annotated[
        int, Field(ge=0), Knob("Time a lost node is waited for before its jobs are tried again elsewhere.", unit="s")
    ] = 60
    serving_node_lost_s: Annotated[
        int,
        Field(ge=1),
        Knob("The same for models, routers and the agent: a second one beside a lost one does no harm.", unit="s"),
    ] = 30
    lease_s: Annotated[
        int, Field(ge=5), Knob("How long a leader that fell silent keeps others from acting.", unit="s")
    ] = 15

    # The router
    router_url: Annotated[
        str, Knob("Base of scoring addresses as callers reach them.", off="empty: from the Service ferry-router")
    ] = ""

    health_port: Annotated[int, Field(ge=0, le=65_535), Knob("Port of the agent's door for probes.")] = 8470

    # The gateway
    gateway_url: Annotated[
        str, Knob("Address at which pods reach the gateway.", off="empty: the Service in system_namespace")
    ] = ""
    gateway_call_url: Annotated[
        str, Knob("Address at which the agent reaches the gateway, where that is another.", off="empty: as pods do")
    ] = ""
    gateway_host: Annotated[str, Knob("Address on which the gateway listens.")] = "0.0.0.0"  # noqa: S104  a pod's own network
    gateway_port: Annotated[int, Field(ge=0, le=65_535), Knob("Port of the gateway.")] = 8443
    state_dir: Annotated[Path, Knob("Folder of the site store and the journal, on a volume.")] = Path("/var/lib/ferry")
    package_ca: Annotated[
        OptionalPath, Knob("PEM file of certificate authorities for package index and conda channels.", off="empty")
    ] = None
    conda_channel: Annotated[
        str, Knob("Address under which conda channels are found.", off="empty: no conda packages")
    ] = ""

    # Resources of Ferry's own containers in a user's pod
    stage_cpu: Annotated[str, Knob("CPU of the container that brings inputs.", unit="Kubernetes quantity")] = "100m"
    stage_memory: Annotated[str, Knob("Memory of the container that brings inputs.", unit="Kubernetes quantity")] = (
        "128Mi"
    )
    collect_cpu: Annotated[str, Knob("CPU of the container that collects.", unit="Kubernetes quantity")] = "50m"
    collect_memory: Annotated[str, Knob("Memory of the container that collects.", unit="Kubernetes quantity")] = "96Mi"
    preparation_cpu: Annotated[str, Knob("CPU of environment preparations.", unit="Kubernetes quantity")] = "500m"
    preparation_memory: Annotated[str, Knob("Memory of environment preparations.", unit="Kubernetes quantity")] = "1Gi"

    def allowed_namespaces(self) -> tuple[str, ...]:
        """Empty: every namespace."""
        return tuple(part for name in self.namespaces.split(",") if (part := name.strip()))
