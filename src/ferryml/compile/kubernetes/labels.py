"""Labels and annotations of everything that Ferry makes in a cluster: whose it is, and how it is found again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

from ferryml.compile.kubernetes.names import uid_hash

FIELD_MANAGER = "ferry-operator"
GROUP = "ferryml.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MANAGED_BY = "app.kubernetes.io/managed-by"
WORKSPACE = f"{GROUP}/workspace"
COMPUTE = f"{GROUP}/compute"
KIND = f"{GROUP}/kind"
UID = f"{GROUP}/uid"
ATTEMPT = f"{GROUP}/attempt"
REVISION = f"{GROUP}/revision"
"""Of a deployment, on all that serves it: routers find its addresses by this."""
NAME = f"{GROUP}/name"
"""Annotation: the job's name as people know it."""
BOUND = f"{GROUP}/bound"
"""`true` on pods whose inputs are bound to zones: the policy that leaves them no egress selects it."""

MANAGED = {MANAGED_BY: "ferry"}
"""Selects everything of Ferry's."""

Kind = Literal["job", "preparation", "build", "endpoint"]

_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def label_value(text: str) -> str:
    """The text itself when Kubernetes takes it as a label's value, else the nearest that is told apart from others."""
    if not text or _VALUE.fullmatch(text):
        return text
    slug = re.sub(r"[^-A-Za-z0-9_.]+", "-", text).strip("-_.")[:50].strip("-_.")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{slug}-{digest}" if slug else digest


def labels_of(kind: Kind, uid: str, attempt: int, workspace: str, compute: str, bound: bool = False) -> dict[str, str]:
    """Of every object of one attempt; workspace and compute are empty for preparations and builds: nobody's."""
    mine = {MANAGED_BY: "ferry", KIND: kind, UID: uid_hash(uid), ATTEMPT: str(attempt)}
    if workspace:
        mine |= {WORKSPACE: label_value(workspace), COMPUTE: label_value(compute)}
    return mine | ({BOUND: "true"} if bound else {})


def annotations_of(uid: str, name: str) -> dict[str, str]:
    """The full uid and name, which labels are too short for."""
    return {UID: uid, NAME: name}


def selector(wanted: Mapping[str, str]) -> str:
    """A label selector for list and watch calls."""
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
