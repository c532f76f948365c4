"""Volumes with data: datastores that pods mount directly, and claims that administrators have labelled for mounting."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryml.compile.plan import safe
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath

DATA = "/ferry-data"
"""Datastores appear below it, `ro/NAME` and `rw/NAME`, at the same path in all containers of a pod."""
MOUNTED = frozenset({"nfs", "kubernetes_pvc"})
OBJECTS = frozenset({"s3", "gcs", "azure_blob", "azure_data_lake_gen2"})
"""Datastores whose bytes are brought and taken by the gateway, which alone has their credentials."""

CLAIM_LABEL = ("ml.azure.com/pvc", "true")
CLAIM_PATH = "ml.azure.com/mountpath"
RESERVED = ("/ferry", "/ferry-plan", "/ferry-token", DATA, "/dev", "/proc", "/sys", "/etc", "/bin", "/usr", "/lib")

Json = Any


@dataclass
class DataMounts:
    """Collects the volumes that a job's inputs, outputs and namespace need.

    Args:
        namespace: the pod's; claims of other namespaces cannot be mounted.
    """

    namespace: str
    volumes: list[dict[str, Json]] = field(default_factory=list)
    shared: list[dict[str, Json]] = field(default_factory=list)
    """volumeMounts of all containers of the pod."""
    own: list[dict[str, Json]] = field(default_factory=list)
    """volumeMounts of the main container alone."""
    notes: list[str] = field(default_factory=list)

    def path(self, place: DatastorePath, write: bool) -> str:
        """Absolute path of a place in the pod; its volume is added.

        Raises:
            Refused: PathEscapes, or NotSupported for datastores that cannot be mounted here.
        """
        root = self._root(place, write)
        path = posixpath.normpath(posixpath.join(root, place.path.strip("/")))
        if path != root and not path.startswith(root + "/"):
            raise Refused("PathEscapes", f"path {place.path!r} leaves the folder of datastore {place.datastore!r}")
        return path

    def root_of(self, place: DatastorePath, write: bool) -> str:
        """Where the datastore of a place is mounted."""
        return f"{DATA}/{'rw' if write else 'ro'}/{safe(place.datastore)}"

    def labelled(self, claims: Iterable[Mapping[str, Json]], instances: int = 1) -> None:
        """Adds the PersistentVolumeClaims of the namespace that carry Azure ML's label.

        What cannot be mounted is left out with a note; of two with one path the first by name stays.
        """
        taken: dict[str, str] = {}
        for claim in sorted(claims, key=lambda item: str(item["metadata"]["name"])):
            name = str(claim["metadata"]["name"])
            path = claim_path(claim)
            if path is None:
                continue
            fault = _path_fault(path) or (f"{path} is taken by claim {taken[path]}" if path in taken else "")
            if fault:
                self.notes.append(f"claim {name} is not mounted: {fault}")
                continue
            taken[path] = name
            self._claim(name, path, claim.get("spec", {}).get("accessModes") or [], instances)

    def _claim(self, name: str, path: str, modes: list[str], instances: int) -> None:
        if instances > 1 and not {"ReadWriteMany", "ReadOnlyMany"} & set(modes):
            self.notes.append(f"claim {name} is {', '.join(modes)}: pods on other nodes than its own cannot start")
        only_read = bool(modes) and set(modes) == {"ReadOnlyMany"}
        volume = {"name": f"claim-{len(self.volumes)}", "persistentVolumeClaim": {"claimName": name}}
        self.volumes.append(volume)
        self.own.append({"name": volume["name"], "mountPath": path, "readOnly": only_read})

    def _root(self, place: DatastorePath, write: bool) -> str:
        root = self.root_of(place, write)
        if not any(mount["mountPath"] == root for mount in self.shared):
            source, below = self._source(place)
            volume = self._volume(source)
            mount = {"name": volume, "mountPath": root, "readOnly": not write}
            self.shared.append({**mount, "subPath": below} if below else mount)
        return root

    def _volume(self, source: dict[str, Json]) -> str:
        for volume in self.volumes:
            if {key: value for key, value in volume.items() if key != "name"} == source:
                return str(volume["name"])
        name = f"data-{len(self.volumes)}"
        self.volumes.append({"name": name, **source})
        return name

    def _source(self, place: DatastorePath) -> tuple[dict[str, Json], str]:
        """(volume source, folder in it below which the datastore is)."""
        if place.kind == "nfs":
            server, colon, export = place.root.partition(":/")
            if not server or not colon:
                raise Refused("BadValue", f"datastore {place.datastore!r} has no server and export")
            return {"nfs": {"server": server, "path": f"/{export}"}}, ""
        if place.kind != "kubernetes_pvc":
            raise Refused(
                "NotSupported", f"pods cannot mount datastore {place.datastore!r} of type {place.kind}",
                f"Use one of type {', '.join(sorted(MOUNTED | OBJECTS))}, or an asset that was uploaded.",
            )  # fmt: skip
        there = place.options.get("namespace") or self.namespace
        if there != self.namespace:
            raise Refused(
                "NotSupported",
                f"datastore {place.datastore!r} is claim {place.root} of namespace {there}, and the job runs in "
                f"{self.namespace}: pods can mount claims of their own namespace only",
                f"Choose a compute in namespace {there}, or make a claim in {self.namespace}.",
            )
        return {"persistentVolumeClaim": {"claimName": place.root}}, _below(place)


def claim_path(claim: Mapping[str, Json]) -> str | None:
    """Where a claim is to be mounted; None when it is not labelled for mounting, empty when it does not say where."""
    meta = claim["metadata"]
    key, value = CLAIM_LABEL
    if str((meta.get("labels") or {}).get(key, "")).lower() != value:
        return None
    return str((meta.get("annotations") or {}).get(CLAIM_PATH, "")).rstrip("/")


def _path_fault(path: str) -> str:
    if not path.startswith("/") or posixpath.normpath(path) != path or ":" in path:
        return f"its annotation {CLAIM_PATH} must be an absolute path, not {path!r}"
    if any(path == taken or path.startswith(taken + "/") for taken in RESERVED):
        return f"{path} is not free for mounting"
    return ""


def _below(place: DatastorePath) -> str:
    prefix = posixpath.normpath(place.options.get("prefix", "").strip("/") or ".")
    if prefix.startswith(".."):
        raise Refused("PathEscapes", f"the prefix of datastore {place.datastore!r} leaves its claim")
    return "" if prefix == "." else prefix
