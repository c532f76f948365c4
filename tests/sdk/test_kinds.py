"""Which kind a document is."""

from pathlib import Path

import pytest

from ferryml.domain.errors import Refused
from ferryml.sdk.documents import parse_documents
from ferryml.sdk.kinds import KINDS, kind_of, without_kind


def document(text):
    return parse_documents(text, Path("/x.yml"), "x.yml")[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("kind: job", "job"),
        ("kind: OnlineEndpoint", "online-endpoint"),
        ("kind: deployment", "online-deployment"),
        ("kind: online_deployment", "online-deployment"),
        ("{kind: Managed, name: x, auth_mode: key}", "online-endpoint"),
        ("command: x", "job"),
        ("type: command", "job"),
        ("type: uri_folder", "data"),
        ("type: MLTable", "data"),
        ("type: mlflow_model", "model"),
        ("type: azure_blob", "datastore"),
        ("{type: local, root: /x}", "datastore"),
        ("{type: local, name: x}", "compute"),
        ("{type: kubernetes, name: x, resource_id: y}", "compute"),
        ("{type: kubernetes, name: x, model: y}", "online-deployment"),
        ("{type: kubernetes, name: x, compute: y}", "online-endpoint"),
        ("{name: x, endpoint_name: y, model: z}", "online-deployment"),
        ("{name: x, auth_mode: key}", "online-endpoint"),
        ("{name: x, image: y}", "environment"),
        ("{name: x, triggers: []}", "automation"),
        ("{name: x, url: 'https://y/z'}", "webhook"),
        ("type: webhook", "webhook"),
        ("{$schema: ../schemas/webhook.schema.json, name: x}", "webhook"),
        ("{deployment: x.yml, endpoint: y}", "rollout"),
        ("{name: x, default_compute: y}", "workspace"),
        ("{$schema: https://x/latest/workspace.schema.json, name: x}", "workspace"),
        ("{$schema: https://x/latest/data.schema.json, name: x, path: y}", "data"),
        ("{$schema: https://x/latest/model.schema.json, name: x, path: y}", "model"),
        ("{$schema: ../schemas/online-endpoint.schema.json, name: x}", "online-endpoint"),
        ("{$schema: https://x/latest/azureBlob.schema.json, name: x}", "datastore"),
    ],
)
def test_kinds(text, kind):
    assert kind_of(document(text)) == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: x, path: y}", "x.yml:1: it is not clear"),
        ("kind: jobb", "did you mean 'job'?"),
        ("[1]", "must be a mapping"),
    ],
)
def test_refuses_what_is_unclear(text, words):
    with pytest.raises(Refused) as refused:
        kind_of(document(text))
    assert words in refused.value.message


def test_without_kind():
    said = document("{kind: Command-Job, command: x}")
    assert without_kind(said, KINDS["job"]).data == {"command": "x"}
    assert without_kind(said, KINDS["model"]) is said
