"""Schemas accept what the loaders accept, and notice what they refuse."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from ferryml.sdk.documents import read_documents
from ferryml.sdk.kinds import KINDS, kind_of
from ferryml.sdk.schemas import rendered, schema_of, schemas, write

FIXTURES = Path(__file__).parents[1] / "fixtures"
NO_KIND = ("conda.yml", "iris/environment.yml")
DOCUMENTS = [
    (str(file.relative_to(FIXTURES)), document)
    for file in sorted(FIXTURES.rglob("*.y*ml"))
    if not str(file).endswith(NO_KIND)
    for document in read_documents(file)
]
CHECKERS = {kind: jsonschema_rs.Draft202012Validator(schema_of(kind)) for kind in KINDS}


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(DOCUMENTS)])
def test_every_fixture_is_accepted(name, document):
    CHECKERS[kind_of(document)].validate(json.loads(json.dumps(document.data)))


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas_with_help(kind):
    schema = schema_of(kind)
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    properties = schema.get("properties") or schema["$defs"]["KubernetesCompute"]["properties"]
    assert properties["name"]["description"]


@pytest.mark.parametrize(
    ("kind", "data", "good"),
    [
        ("job", {"command": "x", "environment": "azureml:e:1"}, True),
        ("job", {"command": "x", "environment": {"image": "a"}, "type": "Command"}, True),
        ("job", {"command": "x", "environment": {"docker": {"image": "a"}}}, True),
        ("job", {"command": "x", "environment": "e", "inputs": {"a": 1, "b": None, "c": {"path": "p"}}}, True),
        ("job", {"command": "x", "environment": "e", "inputs": None, "outputs": {"o": None}}, True),
        ("job", {"command": "x", "environment": "e", "resources": {"instance_count": "2"}}, True),
        ("job", {"command": "x", "environment": "e", "compute": {"target": "x"}}, True),
        ("job", {"command": "x", "environment": "e", "environment_variables": {"A": 1}}, True),
        ("job", {"command": "x", "environment": "e", "id": "x", "status": "y", "$schema": "z"}, True),
        ("job", {"command": "x"}, False),
        ("job", {"command": "x", "environment": "e", "comand": "x"}, False),
        ("job", {"command": "x", "environment": "e", "resources": {"instance_count": "many"}}, False),
        ("job", {"command": "x", "environment": "e", "distribution": {"type": "horovod"}}, False),
        ("online-endpoint", {"auth_mode": "Key"}, True),
        ("online-endpoint", {"auth_mode": "password"}, False),
        ("online-deployment", {"scale_setting": {}}, False),
        ("data", {"name": "d", "path": "x", "zones": "eu"}, True),
        ("rollout", {"deployment": "./d.yml", "endpoint": "x", "steps": 100}, True),
        ("automation", {"name": "a", "triggers": [{"type": "nonsense"}]}, False),
    ],
)
def test_accepts_and_refuses(kind, data, good):
    assert CHECKERS[kind].is_valid(data) is good


def test_written_files_are_the_schemas(tmp_path):
    files = write(tmp_path / "schemas")
    assert {file.name for file in files} == set(schemas())
    assert json.loads((tmp_path / "schemas/job.schema.json").read_text()) == schema_of("job")
    assert rendered({"b": 1, "a": "ü"}) == '{\n "a": "ü",\n "b": 1\n}\n'
