"""Jobs: taken whole or not at all, shown with the reason, ended when asked."""

import pytest

from control_play import OWNER, WORKSPACE, done
from ferryml.control import jobs, workspaces
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused
from ferryml.domain.orders import JobOrder

READER = Caller("rita", "reader", WORKSPACE)


def code(caught) -> str:
    return caught.value.code


def test_a_job_is_taken_with_everything_resolved(play):
    play.site()
    folder = play.folder({"main.py": b"print(1)"})
    made = play.job(code=f"content:tree:{folder.digest}:src", inputs={"x": 3, "on": True}, outputs={"m": None})
    assert made["status"] == "NotStarted"
    assert made["services"]["Tracking"]["endpoint"].endswith("/mlflow")
    play.turns()
    order = play.wishes("cloud").wishes[0].order
    assert isinstance(order, JobOrder)
    assert order.code.digest == folder.digest
    assert {name: value.literal for name, value in order.inputs.items()} == {"x": "3", "on": "True"}
    assert order.outputs["m"].type == "uri_folder"
    assert order.mlflow_run_id == made["mlflow_run_id"]
    assert order.environment.name.startswith("environment:anonymous:")


def test_names_are_never_used_twice(play):
    play.site()
    play.job(name="mine")
    with pytest.raises(Conflict) as caught:
        play.job(name="mine")
    assert code(caught) == "AlreadyExists"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"compute": "nowhere"}, "ComputeNotFound"),
        ({"code": "azureml:absent:1"}, "NotFound"),
        ({"code": "./src"}, "BadReference"),
        ({"code": f"content:tree:sha256:{'0' * 64}:x"}, "BlobMissing"),
        ({"inputs": {"d": {"path": "azureml:absent@latest"}}}, "NotFound"),
        ({"inputs": {"d": {"path": "azureml:absent"}}}, "BadReference"),
        ({"inputs": {"d": {"path": "azureml://jobs/none/outputs/o"}}}, "NotFound"),
        ({"inputs": {"d": {"path": "azureml://datastores/none/paths/x"}}}, "NotFound"),
        ({"inputs": {"d": {"path": "s3://bucket/x"}}}, "NotSupported"),
        ({"command": "echo ${{inputs.x}}"}, "UnresolvedExpression"),
        ({"outputs": {"default": None}}, "BadName"),
        ({"environment": "azureml:absent:1"}, "NotFound"),
        ({"environment": {"build": {"path": "."}}}, "BadReference"),
        ({"environment": {"conda_file": "./conda.yml"}}, "BadReference"),
        ({"type": "sweep"}, "NotSupported"),
        ({"comand": "x"}, "UnknownField"),
        ({"name": "a b"}, "BadName"),
        ({"compute": None}, "MissingField"),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing(play, changes, wanted):
    play.site()
    with pytest.raises(FerryError) as caught:
        play.job(**changes)
    assert code(caught) == wanted
    assert caught.value.hint
    assert jobs.list_jobs(play.deps, OWNER, WORKSPACE, (0, 10))["items"] == []
    assert play.tracking.runs == {}


def test_the_default_compute_and_aliases_are_used(play):
    play.site()
    workspaces.update(play.deps, OWNER, WORKSPACE, {"default_compute": "c1", "aliases": {"compute": {"cpu-*": "c1"}}})
    assert play.job(compute=None)["compute"] == "c1"
    assert play.job(compute="azureml:cpu-cluster")["compute"] == "c1"


def test_another_role_and_another_workspace(play):
    play.site()
    with pytest.raises(Forbidden):
        play.job(READER)
    with pytest.raises(NotFound):
        play.job(Caller("eve", "owner", "other"))
    name = play.job()["name"]
    assert jobs.show(play.deps, READER, WORKSPACE, name)["status"] == "NotStarted"


def test_curated_environments_have_stand_ins(play):
    play.site()
    play.job(environment="azureml:AzureML-sklearn-1.5@latest")
    play.turns()
    order = play.wishes("cloud").wishes[0].order
    assert any(line.startswith("scikit-learn") for line in order.environment.pip)


def test_a_job_that_was_not_sent_is_cancelled_at_once(play):
    play.site()
    made = play.job()
    assert jobs.cancel(play.deps, OWNER, WORKSPACE, made["name"])["status"] == "Canceled"
    assert play.tracking.runs[made["mlflow_run_id"]].status == "KILLED"
    play.turns()
    assert play.wishes("cloud").wishes == ()


def test_a_running_job_is_asked_to_end_once(play):
    play.site()
    name = play.running()
    assert jobs.cancel(play.deps, OWNER, WORKSPACE, name)["status"] == "CancelRequested"
    before = play.wishes("cloud").wishes[0]
    assert before.order.cancel
    jobs.cancel(play.deps, OWNER, WORKSPACE, name)
    assert play.wishes("cloud").wishes[0].generation == before.generation
    play.reports("cloud", name, "Running", version=2)
    play.turns()
    assert play.shown(name)["status"] == "CancelRequested"
    play.reports("cloud", name, "Canceled", version=3)
    play.turns()
    assert play.shown(name)["status"] == "Canceled"
    assert jobs.cancel(play.deps, OWNER, WORKSPACE, name)["status"] == "Canceled"


def test_only_words_about_a_job_change(play):
    play.site()
    name = play.job()["name"]
    changed = jobs.update(play.deps, OWNER, WORKSPACE, name, {"tags": {"a": 1}, "display_name": "first"})
    assert (changed["tags"], changed["display_name"]) == ({"a": "1"}, "first")
    with pytest.raises(Refused):
        jobs.update(play.deps, OWNER, WORKSPACE, name, {"command": "false"})


def test_archiving_hides_what_has_ended(play):
    play.site()
    name = play.job()["name"]
    with pytest.raises(Conflict):
        jobs.archive(play.deps, OWNER, WORKSPACE, name)
    jobs.cancel(play.deps, OWNER, WORKSPACE, name)
    jobs.archive(play.deps, OWNER, WORKSPACE, name)
    assert jobs.list_jobs(play.deps, OWNER, WORKSPACE, (0, 10))["items"] == []
    jobs.archive(play.deps, OWNER, WORKSPACE, name, archived=False)
    assert len(jobs.list_jobs(play.deps, OWNER, WORKSPACE, (0, 10))["items"]) == 1


def test_pages_go_on_where_they_ended(play):
    play.site()
    names = [play.job()["name"] for _ in range(3)]
    first = jobs.list_jobs(play.deps, OWNER, WORKSPACE, (0, 2))
    rest = jobs.list_jobs(play.deps, OWNER, WORKSPACE, (first["next"], 2))
    assert [item["name"] for item in (*first["items"], *rest["items"])] == names[::-1]
    assert rest["next"] is None


def test_an_output_is_the_input_of_the_next_job(play):
    play.site()
    name = play.running(outputs={"m": {"type": "custom_model", "name": "net"}})
    folder = play.folder({"model/w.bin": b"w", "readme": b"r"})
    play.reports("cloud", name, "Completed", version=2, outputs=done(m=folder))
    play.turns()
    for path in ("azureml:net:1", "azureml:net@latest", f"azureml://jobs/{name}/outputs/m"):
        after = play.job(inputs={"m": {"type": "custom_model", "path": path}})
        assert after["ferry"]["resolved_inputs"]["m"] in ("model:net:1", f"job:{name}")
    inside = play.job(name="inside", inputs={"m": {"path": f"azureml://jobs/{name}/outputs/m/paths/model/w.bin"}})
    play.turns()
    order = next(w.order for w in play.wishes("cloud").wishes if w.uid.endswith(inside["name"]))
    assert (order.inputs["m"].tree.kind, order.inputs["m"].tree.name) == ("file", "w.bin")
