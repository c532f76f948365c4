"""References: every way a document names something that is elsewhere, as one small type each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ferryml.domain.errors import Refused
from ferryml.domain.names import RULES

Kind = Literal["environments", "models", "data", "components", "codes"]
_KINDS: dict[str, Kind] = {
    "environments": "environments",
    "models": "models",
    "data": "data",
    "datas": "data",
    "components": "components",
    "codes": "codes",
    "code": "codes",
}


@dataclass(frozen=True, slots=True)
class AssetRef:
    """`azureml:NAME:VERSION`, `azureml:NAME@LABEL`, or `azureml:NAME` with neither."""

    name: str
    version: str = ""
    label: str = ""

    def __str__(self) -> str:
        return f"azureml:{self.name}{_tail(self.version, self.label)}"


@dataclass(frozen=True, slots=True)
class RegistryRef:
    """An asset of a registry, shared by workspaces."""

    registry: str
    kind: Kind
    name: str
    version: str = ""
    label: str = ""

    def __str__(self) -> str:
        which = f"versions/{self.version}" if self.version else f"labels/{self.label}"
        return f"azureml://registries/{self.registry}/{self.kind}/{self.name}/{which}"


@dataclass(frozen=True, slots=True)
class DatastoreRef:
    """A path inside a datastore; relative, without `..`."""

    datastore: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://datastores/{self.datastore}/paths/{self.path}"


@dataclass(frozen=True, slots=True)
class JobOutputRef:
    """A path inside an output of a job; relative, without `..`."""

    job: str
    output: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://jobs/{self.job}/outputs/{self.output}" + (f"/paths/{self.path}" if self.path else "")


@dataclass(frozen=True, slots=True)
class RunRef:
    """A path among the artifacts of an MLflow run."""

    run: str
    path: str = ""

    def __str__(self) -> str:
        return f"runs:/{self.run}" + (f"/{self.path}" if self.path else "")


@dataclass(frozen=True, slots=True)
class ContentRef:
    """Uploaded bytes by their hash; `kind` is a single file or the manifest of a folder."""

    kind: Literal["tree", "file"]
    digest: str
    name: str = ""

    def __str__(self) -> str:
        return f"content:{self.kind}:{self.digest}:{self.name}"


@dataclass(frozen=True, slots=True)
class UriRef:
    """Anything with a scheme that another service answers: https, s3, gs, wasbs, abfss, git addresses."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    @property
    def scheme(self) -> str:
        """Lower case; `git` for git@host addresses."""
        return "git" if self.uri.startswith("git@") else self.uri.split(":", 1)[0].lower()


@dataclass(frozen=True, slots=True)
class LocalRef:
    """A file or folder of the author's machine."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}" if _SCHEME.match(self.path) or _GIT.match(self.path) else self.path


Ref = AssetRef | RegistryRef | DatastoreRef | JobOutputRef | RunRef | ContentRef | UriRef | LocalRef

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):")
_GIT = re.compile(r"^git@[\w.-]+:.+")
_CONTENT = re.compile(r"^content:(tree|file):(sha256:[0-9a-f]{64}):(.*)$", re.DOTALL)
_ARM_ASSET = re.compile(r"/workspaces/[^/]+/([a-z]+)/([^/]+)/(versions|labels)/([^/]+)/?$", re.IGNORECASE)
_ARM_DATASTORE = re.compile(r"/datastores/([^/]+)/paths(?:/(.*))?$", re.IGNORECASE | re.DOTALL)


def parse_ref(text: str) -> Ref:
    """Read a reference; raises Refused `BadReference`, or `PathEscapes` for a path that leaves its root.

    A text without a scheme is a local path.
    """
    if not text.strip() or "\0" in text or "\n" in text:
        raise _bad(text, "it is empty or holds a line break")
    if text.startswith("file:"):
        return LocalRef(_file_path(text))
    if _GIT.match(text):
        return UriRef(text)
    scheme = _SCHEME.match(text)
    if not scheme:
        return LocalRef(text)
    rest = text[scheme.end() :]
    match scheme[1].lower():
        case "azureml" | "ferry":
            return _long(text, rest) if rest.startswith(("/", "subscriptions/")) else _short(text, rest)
        case "runs":
            run, _, path = rest.lstrip("/").partition("/")
            return RunRef(_required(text, run, "job"), _inside(text, path))
        case "content":
            return _content(text)
    return UriRef(text)


def asset_ref(text: str) -> AssetRef | RegistryRef:
    """Read what must name an asset; raises Refused `BadReference` for anything else."""
    ref = parse_ref(text)
    if isinstance(ref, AssetRef | RegistryRef):
        return ref
    raise _bad(text, "it does not name an asset")


def _file_path(text: str) -> str:
    path = text.removeprefix("file:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path:
        raise _bad(text, "the path is empty")
    return path


def _short(text: str, rest: str) -> AssetRef:
    if "@" in rest:
        name, _, label = rest.partition("@")
        return AssetRef(_required(text, name, "asset"), label=_required(text, label, "version"))
    name, colon, version = rest.partition(":")
    return AssetRef(_required(text, name, "asset"), _required(text, version, "version") if colon else "")


def _long(text: str, rest: str) -> Ref:
    parts = rest.strip("/").split("/")
    match parts:
        case ["registries", registry, kind, name, "versions" | "labels" as which, at] if kind in _KINDS:
            name, at = _required(text, name, "asset"), _required(text, at, "version")
            version, label = (at, "") if which == "versions" else ("", at)
            return RegistryRef(_required(text, registry, "asset"), _KINDS[kind], name, version, label)
        case ["datastores", datastore, "paths", *path]:
            return DatastoreRef(_required(text, datastore, "datastore"), _inside(text, "/".join(path)))
        case ["jobs", job, "outputs", output, *path] if not path or path[0] == "paths":
            return JobOutputRef(
                _required(text, job, "job"), _required(text, output, "asset"), _inside(text, "/".join(path[1:]))
            )
        case ["subscriptions" | "locations", *_]:
            return _full(text, rest)
    raise _bad(text, "after azureml:// comes registries/, datastores/, jobs/ or a full resource id")


def _full(text: str, rest: str) -> Ref:
    if found := _ARM_DATASTORE.search(rest):
        return DatastoreRef(_required(text, found[1], "datastore"), _inside(text, found[2] or ""))
    found = _ARM_ASSET.search(rest)
    if not found or found[1].lower() not in _KINDS:
        raise _bad(text, "the resource id names no asset with a version or label")
    name, at = _required(text, found[2], "asset"), _required(text, found[4], "version")
    return AssetRef(name, at) if found[3].lower() == "versions" else AssetRef(name, label=at)


def _content(text: str) -> ContentRef:
    found = _CONTENT.match(text)
    if not found or found[3] in (".", "..") or "/" in found[3]:
        raise _bad(text, "it is no content:tree|file:sha256:HEX:NAME")
    return ContentRef("tree" if found[1] == "tree" else "file", found[2], found[3])


def _required(text: str, name: str, noun: str) -> str:
    if fault := RULES[noun].fault(name):
        raise _bad(text, fault)
    return name


def _inside(text: str, path: str) -> str:
    if ".." in path.replace("\\", "/").split("/"):
        raise Refused("PathEscapes", f"{text[:200]!r} leaves the place that it names", "Write the path without '..'.")
    return path.strip("/")


def _tail(version: str, label: str) -> str:
    return f":{version}" if version else f"@{label}" if label else ""


def _bad(text: str, why: str) -> Refused:
    return Refused(
        "BadReference",
        f"{text[:200]!r} is not a reference: {why}",
        "Write azureml:NAME:VERSION, azureml:NAME@latest, azureml://datastores/NAME/paths/PATH, a path or a URI.",
    )
