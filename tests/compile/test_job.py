import pytest

from ferryml.compile.environment import environment_order
from ferryml.compile.job import Places, job_variables, local_notes, marker, process_count, rendered_command
from ferryml.domain.errors import Refused
from ferryml.domain.orders import InputOrder, JobOrder

PLACES = Places("/f/code", "http://127.0.0.1:8", {"data": "/f/inputs/data"}, {"out": "/f/outputs/out"})


def a_job(**changes):
    fields = {
        "workspace": "ws", "name": "calm_fox", "compute": "local", "command": "true",
        "environment": environment_order(), "mlflow_run_id": "r1", "mlflow_experiment": "exp",
        "inputs": {"rate": InputOrder(type="boolean", literal="True"), "data": InputOrder(type="uri_folder", uri="x")},
    }  # fmt: skip
    return JobOrder.model_validate({**fields, **changes})


def test_the_command_gets_paths_and_literals():
    job = a_job(
        command="run ${{inputs.data}} --r ${{inputs.rate}} $[[--x ${{inputs.none}}]] > ${{outputs.out}}/${{name}}"
    )
    assert rendered_command(job, PLACES) == "run /f/inputs/data --r True > /f/outputs/out/calm_fox"


def test_an_unknown_name_is_refused():
    with pytest.raises(Refused) as caught:
        rendered_command(a_job(command="${{inputs.absent}}"), PLACES)
    assert caught.value.code == "UnresolvedExpression"


def test_promised_variables_win_and_mlflow_may_be_pointed_elsewhere():
    wishes = {"A": "${{inputs.data}}", "AZUREML_RUN_ID": "forged", "MLFLOW_TRACKING_URI": "http://mine"}
    env = job_variables(a_job(environment_variables=wishes), PLACES, 2, "job.ws.calm_fox")
    assert env["A"] == "/f/inputs/data"
    assert env["AZUREML_RUN_ID"] == env["AZUREML_ROOT_RUN_ID"] == "calm_fox"
    assert env["MLFLOW_TRACKING_URI"] == "http://mine"
    assert env["FERRY_ATTEMPT"] == "job.ws.calm_fox/2 in /f/code"
    assert env["AZUREML_OUTPUT_DIR"] == "/f/code/outputs"
    assert env["AZURE_ML_OUTPUT_out"] == "/f/outputs/out"
    assert all(isinstance(value, str) for value in env.values())


def test_two_sites_of_one_machine_mark_their_processes_apart():
    assert marker("job.ws.train", 1, "/sites/a/1/code") != marker("job.ws.train", 1, "/sites/b/1/code")


def test_without_an_mlflow_run_none_is_named():
    env = job_variables(a_job(mlflow_run_id="", mlflow_experiment=""), PLACES, 1, "u")
    assert "MLFLOW_RUN_ID" not in env
    assert env["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:8/mlflow"


def test_the_first_of_several_ranks_knows_its_group():
    job = a_job(distribution={"type": "pytorch", "process_count_per_instance": 3})
    assert process_count(job) == 3
    env = job_variables(job, PLACES, 1, "u")
    assert (env["WORLD_SIZE"], env["RANK"], env["MASTER_ADDR"]) == ("3", "0", "127.0.0.1")
    assert "WORLD_SIZE" not in job_variables(a_job(), PLACES, 1, "u")


def test_other_distributions_run_once_and_say_so():
    job = a_job(distribution={"type": "mpi", "process_count_per_instance": 4}, instance_count=2, instance_type="gpu")
    assert process_count(job) == 1
    assert [note.split(" is not")[0].split(" sets")[0] for note in local_notes(job)] == [
        "instance_count 2", "distribution mpi", "instance type gpu",
    ]  # fmt: skip
