"""Bodies are described by the language, and every reference in the document leads somewhere."""

import re

from ferryml.bootstrap.openapi import document
from ferryml.server.documents import BODIES


def test_each_body_has_its_kind():
    made = document()
    for (method, path), kind in BODIES.items():
        body = made["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        name = body["$ref"].rsplit("/", 1)[-1]
        assert name.lower() == kind.replace("-", "")
    assert "command" in made["components"]["schemas"]["Job"]["properties"]


def test_what_is_posted_beside_a_document_is_never_answered():
    properties = document()["components"]["schemas"]["Webhook"]["properties"]
    assert properties["secret"]["writeOnly"] is True
    assert properties["url"]["type"] == "string"


def test_references_lead_somewhere():
    made = document()
    known = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert set(re.findall(r"#/[^'\"]+", str(made))) <= known
