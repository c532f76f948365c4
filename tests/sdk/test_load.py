"""Whole files: the dialect that az ml users have, and ours."""

import warnings
from pathlib import Path

import pytest

from ferryml.domain.aliases import resolve_environment
from ferryml.domain.errors import Refused
from ferryml.domain.expressions import render
from ferryml.domain.spec import CommandJob, Environment, LocalCompute, OnlineDeployment
from ferryml.domain.spec.deployment import DefaultScale
from ferryml.domain.spec.workspace import Aliases
from ferryml.sdk.load import (
    FerryWarning,
    load,
    load_automation,
    load_code,
    load_compute,
    load_data,
    load_datastore,
    load_deployment,
    load_endpoint,
    load_environment,
    load_job,
    load_model,
    load_rollout,
    load_workspace,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
AZML = FIXTURES / "azml"
LOOP = FIXTURES / "loop"


def quiet(message):
    """Takes warnings that a test is not about."""


def test_hello_world():
    job = load_job(AZML / "jobs/hello/job.yml")
    assert job.environment == Environment(image="library/python:latest")
    assert job.tags == {"hello": "world", "owner": "1"}


def test_services_and_variables():
    notes = []
    job = load_job(AZML / "jobs/hello/interactive.yml", warn=notes.append)
    assert job.environment_variables == {"HELLO": "world", "COUNT": "3", "RATIO": "0.10", "DEBUG": "true"}
    assert job.services["my_ssh"].nodes == "all"
    assert job.resources.instance_count == 2
    assert len(notes) == 2
    assert all("interactive.yml" in note for note in notes)
    assert "user_identity" in notes[0]
    assert "services" in notes[1]


def test_a_document_may_say_its_kind(tmp_path):
    (tmp_path / "job.yml").write_text("kind: job\ncommand: x\nenvironment: {image: python}\n")
    assert load_job(tmp_path / "job.yml").command == "x"
    with pytest.raises(Refused, match="unknown key 'kind'"):
        load_model(tmp_path / "job.yml")


def test_a_job_with_its_conda_file_and_requirements_inside():
    job = load_job(AZML / "jobs/iris/job.yml")
    assert job.code == str(AZML / "jobs/iris/src")
    pip = job.environment.conda_file["dependencies"][-1]["pip"]
    assert pip == ["scikit-learn==1.5.2", "pandas", "azureml-mlflow"]
    values = {name: value for name, value in job.inputs.items() if name != "iris_csv"} | {"iris_csv": "/in/iris.csv"}
    assert render(job.command, values, {}) == "python main.py --iris-csv /in/iris.csv --C 0.8 --kernel rbf --coef0 0.1"


@pytest.mark.parametrize("file", ["latest.yml", "registry.yml"])
def test_curated_environments(file):
    job = load_job(AZML / "jobs/curated" / file)
    assert job.compute == "cpu-cluster"
    assert isinstance(resolve_environment(job.environment, Aliases()), Environment)


def test_optional_inputs():
    job = load_job(AZML / "jobs/optional/job.yml")
    command = render(job.command, {"data": "/in", "epochs": 3, "shuffle": True}, {"model": "/out"})
    assert command == "python train.py --data /in --epochs 3 --shuffle True --out /out"


def test_distributed_job_with_what_has_no_effect():
    notes = []
    job = load_job(AZML / "jobs/distributed/job.yml", warn=notes.append)
    assert (job.distribution.type, job.queue_settings.priority, job.resources.shm_size) == ("pytorch", "high", "8g")
    assert sorted(note.split(": ")[1].split()[0] for note in notes) == [
        "queue_settings.job_tier",
        "resources.docker_args",
    ]


def test_old_preview_syntax():
    with pytest.warns(FerryWarning, match="old form"):
        job = load_job(AZML / "jobs/old/job.yml")
    assert (job.compute, job.resources.instance_type, job.environment.image) == ("onprem", "small", "docker.io/python")
    assert job.code == str(AZML / "jobs/old/src")


def test_an_environment_file_has_its_own_folder():
    job = load_job(AZML / "jobs/envfile/job.yml")
    assert (job.environment.version, job.compute) == ("1.10", "onprem")
    assert job.environment.conda_file["dependencies"][0] == "python=3.11"


def test_outputs():
    job = load_job(AZML / "jobs/outputs/job.yml")
    assert job.outputs["output_data"].path == "azureml://datastores/workspaceblobstore/paths/${{name}}/out"
    assert (job.outputs["output_data"].name, job.outputs["output_data"].version) == ("my-output", "3")
    assert job.inputs["input_data"].mode == "download"


def test_sklearn_endpoint_with_blue_and_green():
    endpoint = load_endpoint(AZML / "endpoints/sklearn/endpoint.yml")
    assert (endpoint.auth_mode, endpoint.compute, endpoint.identity.type) == ("key", "k8s-compute", "system_assigned")
    for colour, number in (("blue", 1), ("green", 2)):
        made = load_deployment(AZML / f"endpoints/sklearn/{colour}-deployment.yml")
        assert made.model.path == str(AZML / f"endpoints/sklearn/model-{number}/model")
        assert made.environment.conda_file["name"] == "model-env"
        assert made.request_settings.max_queue_wait_ms == 3000
        assert made.scale_settings == DefaultScale()


def test_mlflow_model_without_code():
    notes = []
    made = load_deployment(AZML / "endpoints/ncd/sklearn-deployment.yaml", warn=notes.append)
    assert (made.type, made.model.type, made.environment, made.code_configuration) == (
        "kubernetes",
        "mlflow_model",
        None,
        None,
    )
    assert "type is missing" in notes[0]
    assert load_endpoint(AZML / "endpoints/ncd/create-endpoint.yaml").compute is None


def test_custom_container():
    made = load_deployment(AZML / "endpoints/byoc/deployment.yml")
    assert made.environment.inference_config.scoring_route.path == "/v1/models/half_plus_two:predict"
    assert made.liveness_probe.failure_threshold == 1
    assert made.data_collector.collections["model_inputs"].enabled


def test_assets():
    assert load_data(AZML / "assets/data.yml").path == str(AZML / "assets/sample-data")
    assert load_model(AZML / "assets/model.yml").path.startswith("azureml://jobs/")
    assert load_environment(AZML / "assets/environment.yml").build.path == str(AZML / "assets/docker-context")
    assert load_compute(AZML / "assets/compute.yml").namespace == "training"
    assert load_datastore(AZML / "assets/datastore.yml").container_name == "data-container"


def test_from_flags_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    assert load_compute(None, [{"name": "c1"}, {"type": "local"}]) == LocalCompute(name="c1")
    assert load_code(None, ["path=src"]).path == str(tmp_path / "src")
    assert load_workspace(None, [{"name": "team"}]).name == "team"


def test_set_before_validation(tmp_path):
    file = tmp_path / "job.yml"
    file.write_text("command: x\nenvironment: azureml:e:1\nresources: {instance_count: many}\n")
    job = load_job(file, ["resources.instance_count=2", {"compute": "azureml:x", "tags.a": 1.5}])
    assert (job.resources.instance_count, job.compute, job.tags) == (2, "x", {"a": "1.5"})
    with pytest.raises(Refused, match=r"--set resources\.instance_count: .*valid integer, not 'few'"):
        load_job(file, ["resources.instance_count=few"])


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("command: x\nenvironment: azureml:e:1\ncomputes: x\n", "UnknownField", "job.yml:3: unknown key 'computes'"),
        ("command: x\nenvironment: azureml:e:1\ncode: ./nowhere\n", "FileNotFound", "job.yml:3: './nowhere' does not"),
        ("command: ${{inputs.x}}\nenvironment: azureml:e:1\n", "UnresolvedExpression", "no input 'x'"),
        ("command: x\nenvironment: sklearn\n", "FileNotFound", "job.yml:2: environment names 'sklearn'"),
        ("command: x\nenvironment: env.yml\n", "UnknownField", "env.yml:2: unknown key 'imge'; did you mean 'image'?"),
        ("command: x\nenvironment: {image: a}\ninputs:\n  d: {path: gone}\n", "FileNotFound", "job.yml:4: 'gone'"),
        ("- command: x\n", "BadYaml", "job.yml:1: a document must be a mapping"),
    ],
)
def test_errors_name_the_line(tmp_path, text, code, words):
    (tmp_path / "env.yml").write_text("name: e\nimge: x\n")
    file = tmp_path / "job.yml"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        load_job(file)
    assert (refused.value.code, words in refused.value.message) == (code, True), refused.value.message


def test_a_scoring_script_must_be_there(tmp_path):
    file = tmp_path / "deployment.yml"
    file.write_text(
        "type: kubernetes\nname: blue\nmodel: azureml:m:1\nenvironment: {image: x}\n"
        "code_configuration: {code: ., scoring_script: score.py}\n"
    )
    with pytest.raises(Refused, match=r"scoring_script 'score\.py' does not exist"):
        load_deployment(file)
    (tmp_path / "score.py").touch()
    assert load_deployment(file).code_configuration.code == str(tmp_path)


def test_an_automation_with_everything_inside():
    loop = load_automation(LOOP / "automation.yml")
    assert isinstance(loop.create_job.job, CommandJob)
    assert loop.create_job.job.code == str(LOOP / "src")
    assert loop.create_job.inputs == {"data": "${{trigger.data}}"}
    assert loop.evaluate.inputs["test_data"].path == "azureml:digits-test@latest"
    assert isinstance(loop.rollout.deployment, OnlineDeployment)
    assert (loop.triggers[1].debounce, loop.rollout.per_step.min_duration, loop.rollout.keep_previous) == (
        900,
        120,
        86400,
    )
    assert loop.rollout.endpoint_names == ("digits-onprem", "digits-cloud")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("create_job.inputs.dta=1", "UnknownField", "create_job.inputs.dta is no input of the job; it has: data"),
        ("create_job.inputs=null", "MissingField", "input 'data' has no value"),
        ("evaluate.inputs={}", "MissingField", "input 'test_data' has no value"),
        ("candidate.output=weights", "BadReference", "it has: model"),
        ("rollout.steps=[50]", "BadValue", "steps must rise"),
        ("rollout.deployment=./gone.yml", "FileNotFound", "--set rollout.deployment: rollout.deployment names"),
        ("triggers[1].debounce=soon", "BadValue", "not a duration"),
    ],
)
def test_automation_faults(change, code, words):
    with pytest.raises(Refused) as refused:
        load_automation(LOOP / "automation.yml", [change])
    assert (refused.value.code, words in refused.value.message) == (code, True), refused.value.message


def test_a_rollout():
    made = load_rollout(LOOP / "rollout.yml")
    assert (made.endpoint_names, made.steps, made.deployment.model) == (
        ("digits-onprem",),
        (25, 100),
        "azureml:digits-model:7",
    )
    with pytest.raises(Refused, match="no model and no environment"):
        load_rollout(LOOP / "rollout.yml", ["deployment.model=null"])


def test_apply_reads_all_kinds_in_order():
    loaded = load(LOOP / "everything.yml")
    assert [one.kind for one in loaded] == ["datastore", "data", "compute", "online-endpoint", "online-deployment"]
    assert loaded[1].spec.zones == ("onprem",)
    assert loaded[1].spec.release.metrics == "allow"


def test_apply_refuses_an_empty_file(tmp_path):
    (tmp_path / "x.yml").write_text("# nothing\n")
    with pytest.raises(Refused, match="holds no document"):
        load(tmp_path / "x.yml")


def test_every_az_ml_file_is_of_a_kind():
    skipped = ("conda.yml", "iris/environment.yml")
    files = [file for file in AZML.rglob("*.y*ml") if not str(file).endswith(skipped)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(load(file) for file in files)
    assert len(files) > 18
