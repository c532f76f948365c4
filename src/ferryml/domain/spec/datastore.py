"""Where data lives: object stores, shares, volumes, or a folder of a site's machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ferryml.domain.spec.common import Spec, problem
from ferryml.domain.spec.values import Fold, SiteName, Text, TextMap, ZoneName, named

DatastoreType = Annotated[
    Literal[
        "azure_blob", "azure_file", "azure_data_lake_gen2", "s3", "gcs", "nfs", "kubernetes_pvc", "local",
    ],
    Fold(),
]  # fmt: skip

_AZURE = frozenset({"account_name", "endpoint", "protocol"})
FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "azure_blob": (frozenset({"account_name", "container_name"}), _AZURE),
    "azure_file": (frozenset({"account_name", "file_share_name"}), _AZURE),
    "azure_data_lake_gen2": (frozenset({"account_name", "filesystem"}), _AZURE),
    "s3": (frozenset({"bucket"}), frozenset({"endpoint", "protocol", "region", "prefix"})),
    "gcs": (frozenset({"bucket"}), frozenset({"endpoint", "protocol", "prefix"})),
    "nfs": (frozenset({"server", "export"}), frozenset()),
    "kubernetes_pvc": (frozenset({"claim_name"}), frozenset({"namespace", "prefix"})),
    "local": (frozenset({"root", "site"}), frozenset()),
}
"""For each type the fields it needs and the fields it may have; the rest belong to other types."""


class SecretRef(Spec):
    """Where the site keeps the credential; the credential itself is never in a document."""

    name: str = Field(description="Secret in the site's namespace, or file below the site's secrets folder.")
    keys: TextMap = Field(
        {}, description="Which key of the secret holds what, such as account_key; empty: the usual names."
    )


def _place(value: str) -> Any:
    return Field("", description=value)


class Datastore(Spec):
    """A named place for data; which fields it has depends on its type."""

    read_only: ClassVar[frozenset[str]] = frozenset({"is_default"})

    name: Annotated[Text, named("datastore")] = Field(description="Name in the workspace.")
    type: DatastoreType = Field(description="What kind of store.")
    description: str = Field("", description="For people.")
    tags: TextMap = Field({}, description="For searching.")
    properties: TextMap = Field({}, description="For programs.")
    zone: ZoneName | None = Field(
        None, description="Zone that data here is bound to; none: the site's, if it has a site."
    )
    site: SiteName | None = Field(None, description="Site it is reachable from; none: every site.")
    secret_ref: SecretRef | None = Field(
        None, description="Credential kept by the site; none: the site's own identity."
    )
    account_name: str = _place("Azure: storage account.")
    container_name: str = _place("azure_blob: container.")
    file_share_name: str = _place("azure_file: share.")
    filesystem: str = _place("azure_data_lake_gen2: file system.")
    endpoint: str = _place("Host or URL of the service; empty: the provider's own.")
    protocol: str = _place("https or http; empty: https.")
    bucket: str = _place("s3, gcs: bucket.")
    region: str = _place("s3: region; empty: the provider decides.")
    prefix: str = _place("Path inside the store that everything is below; empty: its root.")
    server: str = _place("nfs: host name or address.")
    export: str = _place("nfs: exported path.")
    claim_name: str = _place("kubernetes_pvc: PersistentVolumeClaim.")
    namespace: str = _place("kubernetes_pvc: namespace of the claim; empty: the compute's.")
    root: str = _place("local: absolute folder on the site's machine.")

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("credentials"):
            raise problem(
                "NotSupported",
                "credentials do not belong into documents: keep them in a secret of the site, named by secret_ref",
            )
        return {k: v for k, v in data.items() if k != "credentials"} if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _fields_of_type(self) -> Datastore:
        needed, optional = FIELDS[self.type]
        given = {name for name in _PLACES if name in self.model_fields_set and getattr(self, name)}
        if foreign := sorted(given - needed - optional):
            raise problem("UnknownField", f"{foreign[0]!r} is not a field of datastores of type {self.type}")
        if missing := sorted(name for name in needed if not getattr(self, name)):
            raise problem("MissingField", f"a datastore of type {self.type} needs {', '.join(missing)}")
        if self.type == "local" and not self.root.startswith("/"):
            raise problem("BadValue", "root must be an absolute path on the site's machine")
        return self


_PLACES = frozenset().union(*(needed | optional for needed, optional in FIELDS.values())) - {"site"}
