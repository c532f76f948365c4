"""What may be chosen when the control plane is installed into a cluster: the values of the chart ferry-server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from ferryml.compile.install.values import Amounts, Name, Part, Quantity, Resources, Scalar

SECRET_SERVER_SETTINGS = ("artifacts_url", "database_url", "mlflow_database_url")
"""Settings of the section `server` that may hold a password: they live in a Secret."""
FIXED_SERVER_SETTINGS = (
    "allow_insecure", "encryption_key_file", "host", "port", "replicas", "state_dir", "tls_cert", "tls_key",
)  # fmt: skip
"""Settings that follow from other values, or from what a pod is."""


class Image(Part):
    """The server's image."""

    registry: str = ""
    """Registry and path put before the name, e.g. registry.example/ferry; empty: the name as it is."""
    name: str = "ferry-server"
    tag: str = ""
    """Empty: the version of the chart."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[Name, ...] = ()


class Tls(Part):
    """HTTPS at the server itself. Else an Ingress must end TLS, or allowInsecure be said."""

    secret: str = ""
    """A Secret of type kubernetes.io/tls."""


class Service(Part):
    """How the server is reached."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: Annotated[int, Field(ge=1, le=65_535)] = 443
    node_port: Annotated[int, Field(ge=0, le=32_767)] = 0
    """0: one is chosen."""
    annotations: Mapping[str, str] = {}


class Ingress(Part):
    """An Ingress that ends TLS before the server."""

    enabled: bool = False
    class_name: str = ""
    host: str = ""
    tls_secret: str = ""
    annotations: Mapping[str, str] = {}


class State(Part):
    """Database, artifacts and keys, where those are files. With PostgreSQL and an object store, only a spool."""

    kind: Literal["claim", "existing", "ephemeral"] = "claim"
    """claim: a volume is asked for, and stays when the chart is uninstalled; existing: the one named below;
    ephemeral: lost with the pod."""
    size: Quantity = "50Gi"
    storage_class: str = ""
    """Empty: the cluster's default."""
    claim: str = ""
    """Name of the claim for `existing`."""


class ServerValues(Part):
    """All choices; the defaults are one server on SQLite, with everything on one volume."""

    server: Mapping[str, Scalar] = {}
    """Settings of the section `server` by their names in docs/settings.md; passwords in them go into a Secret."""
    settings_secret: str = ""
    """A Secret of your own whose keys are variables, e.g. FERRY_SERVER_DATABASE_URL, AWS_SECRET_ACCESS_KEY."""
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    """Above 1: PostgreSQL (database_url, mlflow_database_url), an object store (artifacts_url), keySecret."""
    key_secret: str = ""
    """A Secret whose key server.json holds the key that signs and seals; empty: made on the volume."""
    image: Image = Image()
    tls: Tls = Tls()
    allow_insecure: bool = False
    """Plain HTTP inside the cluster; something else must end TLS."""
    service: Service = Service()
    ingress: Ingress = Ingress()
    state: State = State()
    resources: Resources = Resources(
        requests=Amounts(cpu="250m", memory="768Mi"), limits=Amounts(cpu="4", memory="2Gi")
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that the programs log."""
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str = ""
    user_id: Annotated[int, Field(ge=0)] = 65532
    """User of the server's pods; 0: the platform chooses, as OpenShift does."""
