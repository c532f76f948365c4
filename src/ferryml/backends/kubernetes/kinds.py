"""The kinds of object that Ferry reads or writes in a cluster, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "ferryml.dev"
ALIAS_GROUP = "amlarc.azureml.com"


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As it stands in manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """Path on the API server; an empty namespace means all of them (or none, for cluster-wide kinds)."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{inside}/{self.plural}" + (f"/{name}" if name else "") + (f"/{part}" if part else "")


CONFIG_MAPS = Kind("", "v1", "ConfigMap", "configmaps")
EVENTS = Kind("", "v1", "Event", "events")
LIMIT_RANGES = Kind("", "v1", "LimitRange", "limitranges")
NAMESPACES = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
NODES = Kind("", "v1", "Node", "nodes", namespaced=False)
PERSISTENT_VOLUMES = Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
PODS = Kind("", "v1", "Pod", "pods")
QUOTAS = Kind("", "v1", "ResourceQuota", "resourcequotas")
SECRETS = Kind("", "v1", "Secret", "secrets")
SERVICES = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts")
VOLUME_CLAIMS = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DAEMON_SETS = Kind("apps", "v1", "DaemonSet", "daemonsets")
DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments")
ACCESS_REVIEWS = Kind(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
TOKEN_REVIEWS = Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
JOBS = Kind("batch", "v1", "Job", "jobs")
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases")
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
POD_BUDGETS = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
PRIORITY_CLASSES = Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False)
RUNTIME_CLASSES = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)
STORAGE_CLASSES = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
CRDS = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
ML_JOBS = Kind(GROUP, "v1alpha1", "MLJob", "mljobs")
ONLINE_ENDPOINTS = Kind(GROUP, "v1alpha1", "OnlineEndpoint", "onlineendpoints")
ONLINE_DEPLOYMENTS = Kind(GROUP, "v1alpha1", "OnlineDeployment", "onlinedeployments")
INSTANCE_TYPES = Kind(GROUP, "v1alpha1", "InstanceType", "instancetypes", namespaced=False)
ALIAS_INSTANCE_TYPES = Kind(ALIAS_GROUP, "v1alpha1", "InstanceType", "instancetypes", namespaced=False)
