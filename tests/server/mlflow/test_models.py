"""Models go both ways between Ferry and MLflow."""

import pytest

from ferryml.domain.errors import Conflict, Refused
from ferryml.server.mlflow.models import source_path, source_uri
from mlflow_things import post

TRAIN = """
    import mlflow
    mlflow.set_experiment("models")
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model(python_model=lambda model_input: [42], name="m", registered_model_name="answer",
                                pip_requirements=["mlflow"])
    print(run.info.run_id)
"""


def test_a_model_that_a_client_registered_is_seen_with_its_files(server):
    run_id = server.python("anna", TRAIN)
    (found,) = [version for version in server.tracking.model_versions("blue", 0) if version.name == "answer"]
    assert (found.workspace, found.version, found.run_id) == ("blue", "1", run_id)
    names = [file.path.removeprefix(f"{found.source}/") for file in server.tree.below("blue", found.source)]
    assert "MLmodel" in names
    assert server.tracking.model_versions("blue", found.created_ms + 1) == []
    assert server.tracking.model_versions("Red_Team", 0) == []
    server.tracking.register_model("blue", "answer", "1", found.source, run_id)
    assert server.tracking.model_versions("blue", 0) == [], "what Ferry adopted is not fresh any more"


def test_a_model_of_ferrys_loads_with_the_real_client(server):
    server.python("anna", TRAIN.replace('"answer"', '"origin"'))
    (made,) = [version for version in server.tracking.model_versions("blue", 0) if version.name == "origin"]
    for file in server.tree.below("blue", made.source):
        path = f"ferry/models/mine/7{file.path.removeprefix(made.source)}"
        server.tree.put("blue", path, server.tree.read(file))
    for _ in range(2):
        server.tracking.register_model("blue", "mine", "7", "ferry/models/mine/7", "")
    said = server.python("reed", "import mlflow; print(mlflow.pyfunc.load_model('models:/mine/7').predict([1]))")
    assert said == "[42]"
    server.python("anna", TRAIN.replace('"answer"', '"mine"'))
    assert [v.version for v in server.tracking.model_versions("blue", 0) if v.name == "mine"] == ["8"]


def test_versions_that_are_no_numbers_get_one(server):
    server.tracking.register_model("blue", "named", "v1.0-rc", "ferry/models/named/v1.0-rc", "")
    server.tracking.register_model("blue", "named", "v1.0", "ferry/models/named/v1.0", "")
    server.tracking.register_model("blue", "named", "v1.0", "ferry/models/named/v1.0", "")
    with server.client("anna") as anna:
        found = anna.get("/api/2.0/mlflow/model-versions/search", params={"filter": "name = 'named'", "max_results": 9})
    tags = {v["version"]: v["tags"][0]["value"] for v in found.json()["model_versions"]}
    assert tags == {"1": "v1.0-rc", "2": "v1.0"}


def test_a_number_that_is_taken_is_refused(server):
    server.tracking.register_model("blue", "taken", "1", "ferry/models/taken/1", "")
    with server.client("anna") as anna:
        run_id = server.tracking.create_run("blue", "e", "taker", {})
        run = anna.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]["info"]
        source = f"{run['artifact_uri']}/m"
        post(anna, "/api/2.0/mlflow/model-versions/create", name="taken", source=source, run_id=run_id)
    with pytest.raises(Conflict):
        server.tracking.register_model("blue", "taken", "2", "ferry/models/taken/2", "")


def test_prompts_are_not_models(server):
    server.python("anna", "import mlflow; mlflow.genai.register_prompt('greeting', 'Hello {{name}}')")
    assert [v for v in server.tracking.model_versions("blue", 0) if v.name == "greeting"] == []


def test_addresses_and_paths():
    assert source_uri("blue", "1/m") == "mlflow-artifacts:/workspaces/blue/1/m"
    assert source_path("blue", "mlflow-artifacts:/workspaces/blue/1/m/") == "1/m"
    for other in ("mlflow-artifacts:/workspaces/red/1/m", "mlflow-artifacts://host/1/m", "s3://b/m", "models:/m/1"):
        assert source_path("blue", other) == ""
    with pytest.raises(Refused):
        source_uri("blue", "../m")
