"""Puts the language into the OpenAPI document: what may stand in a posted document is what may stand in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ferryml.sdk.schemas import schemas

W = "/api/v1/workspaces/{workspace}"
BODIES: Mapping[tuple[str, str], str] = {
    ("post", "/api/v1/workspaces"): "workspace",
    ("post", f"{W}/computes"): "compute",
    ("post", f"{W}/datastores"): "datastore",
    ("post", f"{W}/datas"): "data",
    ("post", f"{W}/models"): "model",
    ("post", f"{W}/environments"): "environment",
    ("post", f"{W}/codes"): "code",
    ("post", f"{W}/jobs"): "job",
    ("post", f"{W}/online-endpoints"): "online-endpoint",
    ("put", f"{W}/online-endpoints/{{name}}"): "online-endpoint",
    ("post", f"{W}/online-endpoints/{{name}}/deployments"): "online-deployment",
    ("post", f"{W}/rollouts"): "rollout",
    ("put", f"{W}/automations/{{name}}"): "automation",
    ("post", f"{W}/webhooks"): "webhook",
}
"""(method, path) -> kind of document."""
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "webhook": {
        "secret": {
            "type": "string", "writeOnly": True,
            "description": "whsec_ and base64 of 24 to 64 bytes; none: one is made, and is in this answer alone.",
        }
    }
}  # fmt: skip
"""What may be posted beside a document, and stands in no file."""


def describe(document: dict[str, Any]) -> None:
    """Replace the bare objects of generated request bodies by the schemas of their kinds."""
    known, components = schemas(), document["components"]["schemas"]
    for (method, path), kind in BODIES.items():
        operation = document["paths"].get(path, {}).get(method)
        if operation is not None:
            made = _adopted(kind, known[f"{kind}.schema.json"], components)
            operation["requestBody"]["content"]["application/json"]["schema"] = made


def _adopted(kind: str, schema: Mapping[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """The schema among the components; its own definitions are named after the kind, for kinds differ in detail."""
    prefix = "".join(word.title() for word in kind.split("-"))
    text = json.dumps({key: value for key, value in schema.items() if key not in ("$schema", "$id")})
    moved = json.loads(text.replace("#/$defs/", f"#/components/schemas/{prefix}."))
    moved.get("properties", {}).update(BESIDE.get(kind, {}))
    for name, inner in moved.pop("$defs", {}).items():
        components[f"{prefix}.{name}"] = inner
    components[prefix] = moved
    return {"$ref": f"#/components/schemas/{prefix}"}
