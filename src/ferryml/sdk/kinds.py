"""Which kind of thing a document is, for `ferry apply`, where no verb says it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from ferryml.domain.errors import Refused
from ferryml.domain.spec import (
    Automation,
    Code,
    CommandJob,
    Compute,
    Data,
    Datastore,
    Environment,
    Model,
    OnlineDeployment,
    OnlineEndpoint,
    Rollout,
    Webhook,
    Workspace,
)
from ferryml.domain.spec.data import DataType
from ferryml.domain.spec.datastore import FIELDS
from ferryml.domain.spec.model import ModelType
from ferryml.sdk.documents import Document

KINDS: Mapping[str, Any] = {
    "workspace": Workspace,
    "datastore": Datastore,
    "data": Data,
    "model": Model,
    "environment": Environment,
    "code": Code,
    "compute": Compute,
    "job": CommandJob,
    "online-endpoint": OnlineEndpoint,
    "online-deployment": OnlineDeployment,
    "rollout": Rollout,
    "webhook": Webhook,
    "automation": Automation,
}
"""Kinds in the order in which they can be made: each needs only earlier ones."""

_BY_TYPE: dict[str, str] = {
    **dict.fromkeys(get_args(get_args(DataType)[0]), "data"),
    **dict.fromkeys(get_args(get_args(ModelType)[0]), "model"),
    **dict.fromkeys(FIELDS, "datastore"),
    "command": "job",
    "rollout": "rollout",
    "webhook": "webhook",
    "automation": "automation",
}
_DEPLOYMENT_KEYS = frozenset(
    {
        "endpoint_name",
        "model",
        "environment",
        "code_configuration",
        "instance_count",
        "scale_settings",
        "request_settings",
    }
)
_ENVIRONMENT_KEYS = frozenset({"image", "conda_file", "pip_requirements", "build"})
_ENDPOINT_KEYS = frozenset({"auth_mode", "traffic", "mirror_traffic", "compute"})
_WORKSPACE_KEYS = frozenset({"default_compute", "aliases", "default_datastore"})
_WEBHOOK_KEYS = frozenset({"url"})
_NOT_DECIDED_BY_TYPE = frozenset({"local", "kubernetes", "managed"})

_BY_SCHEMA: tuple[tuple[str, str], ...] = (
    ("deployment", "online-deployment"),
    ("endpoint", "online-endpoint"),
    ("job", "job"),
    ("environment", "environment"),
    ("compute", "compute"),
    ("workspace", "workspace"),
    ("model", "model"),
    ("rollout", "rollout"),
    ("webhook", "webhook"),
    ("automation", "automation"),
    ("code", "code"),
    ("azureblob", "datastore"),
    ("azurefile", "datastore"),
    ("azuredatalake", "datastore"),
    ("datastore", "datastore"),
    ("data", "data"),
)


UNCLEAR = "unclear"
"""In the details of the error about a document that is of no kind at all."""


def kind_of(document: Document) -> str:
    """A key of KINDS; `kind:` says it, else `type`, the keys and `$schema` do. Raises Refused `BadValue`."""
    data = document.data
    if not isinstance(data, Mapping):
        raise Refused("BadYaml", f"{document.place()}: a document must be a mapping of keys", "Write key: value.")
    found = _said(document) or _by_type(data) or _by_keys(data) or _by_schema(data)
    if not found:
        message = f"{document.place()}: it is not clear what kind of thing this is"
        raise Refused("BadValue", message, f"Add kind: with one of {', '.join(KINDS)}.", {UNCLEAR: True})
    return found


def without_kind(document: Document, kind: Any) -> Document:
    """The document without a `kind` key that says what it is read as; one that says otherwise stays, to be refused.

    Args:
        kind: a value of KINDS.
    """
    data = document.data
    if not isinstance(data, Mapping) or "kind" not in data or KINDS.get(_word(data["kind"])) is not kind:
        return document
    return replace(document, data={key: value for key, value in data.items() if key != "kind"})


def _said(document: Document) -> str:
    said = document.data.get("kind")
    if not isinstance(said, str):
        return ""
    word = _word(said)
    if word in KINDS:
        return word
    if document.data.get("type") or _by_keys(document.data):
        return ""  # servers print a `kind` of their own on endpoints
    near = difflib.get_close_matches(word, KINDS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    message = f"{document.place('kind')}: there is no kind {said!r}{guess}"
    raise Refused("BadValue", message, f"The kinds are {', '.join(KINDS)}.")


def _word(said: Any) -> str:
    word = re.sub(r"(?<=[a-z])(?=[A-Z])|[_ ]", "-", str(said)).lower()
    return {"endpoint": "online-endpoint", "deployment": "online-deployment", "command-job": "job"}.get(word, word)


def _by_type(data: Mapping[str, Any]) -> str:
    said = str(data.get("type") or "").lower()
    if said not in _NOT_DECIDED_BY_TYPE:
        return _BY_TYPE.get(said, "")
    if said == "local" and "root" in data:
        return "datastore"
    if data.keys() & _DEPLOYMENT_KEYS:
        return "online-deployment"
    return "online-endpoint" if data.keys() & _ENDPOINT_KEYS or said == "managed" else "compute"


def _by_keys(data: Mapping[str, Any]) -> str:
    keys = data.keys()
    if "triggers" in keys or "create_job" in keys:
        return "automation"
    if "deployment" in keys:
        return "rollout"
    if "command" in keys and "endpoint_name" not in keys:
        return "job"
    for kind, marks in (
        ("online-deployment", _DEPLOYMENT_KEYS),
        ("environment", _ENVIRONMENT_KEYS),
        ("online-endpoint", _ENDPOINT_KEYS),
        ("workspace", _WORKSPACE_KEYS),
        ("webhook", _WEBHOOK_KEYS),
    ):
        if keys & marks:
            return kind
    return ""


def _by_schema(data: Mapping[str, Any]) -> str:
    name = str(data.get("$schema") or "").rsplit("/", 1)[-1].split(".")[0].lower()
    return next((kind for part, kind in _BY_SCHEMA if part in name), "")
