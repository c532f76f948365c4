"""What may be chosen when Ferry is installed into a cluster: values of the chart ferry-agent and of plain manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Scalar = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|[kKMGTPE]i?)?$")]
SECRET_SITE_SETTINGS = ("package_index", "proxy")
"""Settings of the section `site` that may hold a password: they live in a Secret, never in a pod's specification."""

FIXED_SITE_SETTINGS = (
    "backend", "ca_bundle", "connect", "gateway_host", "gateway_port", "router_host", "router_port", "state_dir",
)  # fmt: skip
FIXED_CLUSTER_SETTINGS = (
    "build_ca", "build_insecure", "build_proxy", "build_registry", "build_secret", "build_user_namespaces",
    "builder_image", "builds_namespace", "environments_namespace", "gateway_host", "gateway_port", "image_aliases_json",
    "image_pull_policy", "inference",
    "namespaces", "package_ca", "runner_image", "state_dir", "system_namespace", "workload_node_selector_json",
    "workload_tolerations_json",
)  # fmt: skip
FIXED_ROUTER_SETTINGS = (
    "allow_insecure", "bind", "certificate_name", "collect_ca_file", "collect_token_file", "collect_url",
    "cors_origins", "door_bind", "door_secret_file", "folder", "in_cluster", "metrics_bind", "peer_bind",
    "peer_secret_file", "replica", "table_file", "tls_cert", "tls_key", "tls_secret",
)  # fmt: skip
"""Settings that follow from other values, or from what a pod is."""


class Part(BaseModel):
    """Base of all parts: frozen, camelCase as charts write it, an unknown name is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Images(Part):
    """Where Ferry's own images come from."""

    registry: str = ""
    """Registry and path put before the names, e.g. registry.example/ferry; empty: the names as they are."""
    agent: str = "ferry-agent"
    """Image of agent and gateway."""
    runner: str = "ferry-runner"
    """Image that stands beside a user's container."""
    router: str = "ferry-router"
    """Image of the router: HAProxy and what stands beside it."""
    builder: str = "ferry-builder"
    """Image in which images of environments are built: buildah and skopeo."""
    tag: str = ""
    """Empty: the version of the chart."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[Name, ...] = ()
    """Secrets of the system namespace for pulling Ferry's own images."""


class Authorities(Part):
    """Certificate authorities to trust on the way to the server, instead of the public ones."""

    pem: str = ""
    """The certificates themselves, PEM; empty: none, or those of the ConfigMap."""
    config_map: str = ""
    """A ConfigMap of the system namespace that holds them."""
    key: str = "ca.pem"
    """Its key."""
    packages: bool = False
    """Trust them for package index and conda channels too, as behind a proxy that inspects TLS."""
    builds: bool = False
    """Trust them for the registry of built images, too."""


class Amounts(Part):
    """CPU and memory."""

    cpu: Quantity
    memory: Quantity


class Resources(Part):
    """What a program is given, and what it may take at most."""

    requests: Amounts
    limits: Amounts


class AgentProgram(Part):
    """The agent."""

    replicas: Annotated[int, Field(ge=0, le=3)] = 1
    """One works, a second only waits to take over."""
    resources: Resources = Resources(
        requests=Amounts(cpu="50m", memory="128Mi"), limits=Amounts(cpu="1", memory="512Mi")
    )


class SiteStore(Part):
    """Where the gateway keeps code, models, environments, and what is on its way to the server."""

    kind: Literal["claim", "existing", "ephemeral"] = "claim"
    """claim: a volume is asked for, and stays when Ferry is uninstalled; existing: the one named below;
    ephemeral: lost with the pod."""
    size: Quantity = "50Gi"
    storage_class: str = ""
    """Empty: the cluster's default."""
    claim: str = ""
    """Name of the claim for `existing`."""


class GatewayProgram(Part):
    """The gateway."""

    resources: Resources = Resources(
        requests=Amounts(cpu="100m", memory="256Mi"), limits=Amounts(cpu="2", memory="1Gi")
    )
    store: SiteStore = SiteStore()
    secrets: tuple[Name, ...] = ()
    """Secrets of the system namespace that datastores of this site name by `secretRef`."""


class EnvironmentsPlace(Part):
    """Where environments are prepared: a namespace without keys, for whoever makes Jobs can mount the Secrets there."""

    namespace: Namespace = "ferry-environments"
    create: bool = True
    """Make it, and keep it at uninstalling unless `purge`; false: it exists already."""


class Builds(Part):
    """Images that environments ask to be built: a namespace of their own, for buildah needs the privileged level."""

    registry: Annotated[
        str, Field(pattern=r"^$|^(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+:[0-9]+)(:[0-9]+)?(/[\w./-]+)?$")
    ] = ""
    """Where they are pushed, HOST[:PORT][/PATH]; empty: no images are built."""
    secret: str = ""
    """A Secret of type kubernetes.io/dockerconfigjson in that namespace, for base images and pushing; empty: none is
    needed."""
    insecure: bool = False
    """The registry speaks plain HTTP."""
    proxy: str = ""
    """HTTP proxy for base images and commands of Dockerfiles, which see it: no password."""
    networks: tuple[str, ...] = ()
    """Networks that builds may connect to beside gateway and DNS, as CIDR: the registry, the proxy. Needed where
    networkPolicy is on."""
    namespace: Namespace = "ferry-builds"
    create: bool = True
    """Make it where there is a registry, and keep it at uninstalling unless `purge`; false: it exists already."""
    user_namespaces: bool = False
    """Build in pods with a user namespace (hostUsers: false), where the cluster has them."""


class RouterService(Part):
    """How callers reach the router."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """ClusterIP: from inside, or through an Ingress of yours; NodePort, LoadBalancer: from outside, too."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """0: 443 with TLS, 80 without."""
    node_port: Annotated[int, Field(ge=0, le=32_767)] = 0
    """0: one is chosen."""
    annotations: Mapping[str, str] = {}
    """What a cloud wants to be told, e.g. service.beta.kubernetes.io/azure-load-balancer-internal: "true"."""
    source_ranges: tuple[str, ...] = ()
    """Networks from which a load balancer takes calls; empty: any."""


class RouterTls(Part):
    """The certificate of the scoring address. Renewed in its Secret, it is served without a restart."""

    secret: str = ""
    """A Secret of the system namespace with tls.crt and tls.key (or cert.pem and key.pem)."""
    certificate: str = ""
    """Instead: the chain itself, PEM, from the server's certificate to the root."""
    key: str = ""
    """Its private key, PEM, without a password."""
    cname: str = ""
    """Name by which callers reach the router; the certificate must be for it."""


class RouterProgram(Part):
    """The router."""

    replicas: Literal[1, 3] = 1
    """3: on three nodes at least, one survives the loss of any two."""
    service: RouterService = RouterService()
    resources: Resources = Resources(
        requests=Amounts(cpu="500m", memory="256Mi"), limits=Amounts(cpu="2", memory="1Gi")
    )
    sidecar_resources: Resources = Resources(
        requests=Amounts(cpu="50m", memory="96Mi"), limits=Amounts(cpu="1", memory="384Mi")
    )
    tap_resources: Resources = Resources(
        requests=Amounts(cpu="50m", memory="96Mi"), limits=Amounts(cpu="1", memory="384Mi")
    )
    metrics: bool = False
    """Any pod may read its metrics (port 9403), as Prometheus must; its pods are annotated for it."""
    pod_monitor: bool = False
    """A PodMonitor for a Prometheus Operator that is there; says `metrics`, too."""


class Inference(Part):
    """Online endpoints."""

    enabled: bool = False
    """Endpoints may be served here: the router is installed."""
    allow_insecure_connections: bool = False
    """Plain HTTP, when no certificate is given: keys travel in the clear, unless something else ends TLS."""
    cors_origins: tuple[str, ...] = ()
    """Web origins that may call endpoints; * for any."""
    tls: RouterTls = RouterTls()
    router: RouterProgram = RouterProgram()

    @model_validator(mode="after")
    def _is_safe(self) -> Inference:
        if bool(self.tls.certificate) != bool(self.tls.key) or (self.tls.secret and self.tls.certificate):
            raise ValueError("inference.tls takes a secret, or certificate and key")
        if self.enabled and not self.tls_secret and not self.allow_insecure_connections:
            raise ValueError("endpoints need a certificate: set inference.tls, or inference.allowInsecureConnections")
        if self.enabled and self.tls_secret and self.allow_insecure_connections:
            raise ValueError("inference.tls and inference.allowInsecureConnections exclude each other")
        if self.enabled and self.tls_secret and not self.tls.cname:
            raise ValueError("inference.tls.cname is needed: the name that the certificate is for")
        return self

    @property
    def tls_secret(self) -> str:
        """Where the certificate is; empty: plain HTTP."""
        return self.tls.secret or ("ferry-router-tls" if self.tls.certificate else "")


class Shells(Part):
    """Shells of people in their own running jobs (`ferry job connect`), over the site's outbound link."""

    enabled: bool = False
    """Allow them: the agent may then run programs in the pods of its namespaces."""


class Workloads(Part):
    """Where users' pods run and how their images are found."""

    node_selector: Mapping[str, str] = {}
    """Node labels that every workload asks for."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    """Beside the fixed ones of Ferry."""
    image_aliases: Mapping[str, str] = {}
    """Image -> the image that is used in its place."""


class AgentValues(Part):
    """All choices; defaults suit a small cluster with a default storage class."""

    site: Mapping[str, Scalar] = {}
    """Settings of the section `site` by their names in docs/settings.md; `name` and `server_url` are needed."""
    cluster: Mapping[str, Scalar] = {}
    """Settings of the section `cluster` by their names in docs/settings.md."""
    router: Mapping[str, Scalar] = {}
    """Settings of the section `router` by their names in docs/settings.md: sizes, limits, timeouts."""
    join_token: str = ""
    """The one-time token of `ferry site create`; worthless once the site has joined."""
    namespaces: tuple[Namespace, ...] = ("default",)
    """Namespaces that computes may use: a RoleBinding in each, which must exist."""
    cluster_wide: bool = False
    """Every namespace may be used, with a ClusterRoleBinding instead."""
    images: Images = Images()
    ca: Authorities = Authorities()
    agent: AgentProgram = AgentProgram()
    gateway: GatewayProgram = GatewayProgram()
    environments: EnvironmentsPlace = EnvironmentsPlace()
    builds: Builds = Builds()
    inference: Inference = Inference()
    connect: Shells = Shells()
    workloads: Workloads = Workloads()
    node_selector: Mapping[str, str] = {}
    """Node labels that Ferry's own pods ask for."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    """Of Ferry's own pods, beside the fixed ones."""
    priority_class: str = ""
    """PriorityClass of Ferry's own pods."""
    user_id: Annotated[int, Field(ge=0)] = 65532
    """User of Ferry's own pods; 0: the platform chooses, as OpenShift does."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that the programs log."""
    network_policy: bool = True
    """Only Ferry's pods may call the gateway, nobody the agent; the router is open where callers come in."""
    purge: bool = False
    """Uninstalling also removes the custom resource definitions of Ferry, the site store's volume and the namespaces of
    environments and builds."""

    @model_validator(mode="after")
    def _builds_reach_their_registry(self) -> AgentValues:
        if self.builds.registry and self.network_policy and not self.builds.networks:
            raise ValueError("builds.networks is needed: the networks (CIDR) of the registry of builds")
        return self


def image(images: Images, name: str, version: str) -> str:
    """The full name of an image of Ferry's own."""
    registry = f"{images.registry.rstrip('/')}/" if images.registry else ""
    return f"{registry}{name}:{images.tag or version}"
