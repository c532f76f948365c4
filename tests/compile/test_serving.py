"""What it takes to serve: packages, layout, variables, routes, and how a program is started."""

import ast

import pytest

from ferryml.compile.environment import environment_order, lock_text
from ferryml.compile.mlflow_score import SCRIPT
from ferryml.compile.serving import (
    SERVER,
    Places,
    argv,
    endpoint_route,
    flavor_of,
    mlflow_environment,
    model_path,
    routes,
    serving_environment,
    takes_any_port,
    variables,
)
from ferryml.domain.orders import CollectionOrder, EndpointOrder, EnvironmentOrder, RevisionOrder, TreeRef
from ferryml.domain.seen import InstanceSeen
from ferryml.domain.serving import Plan, ServingMemory

DIGEST = "sha256:" + "0" * 64


def revision(flavor: str = "script", **fields) -> RevisionOrder:
    made = {"scoring_script": "src/score.py", "environment": EnvironmentOrder(key="k")} | fields
    return RevisionOrder(revision="r" * 10, deployment="blue", flavor=flavor, **made)


def test_the_server_joins_the_users_packages():
    order = environment_order(pip_requirements=["numpy"])
    made = serving_environment(order, "script")
    assert made.pip == ("numpy", SERVER)
    assert made.key != order.key
    assert serving_environment(order, "custom") == order


def test_a_server_that_the_user_chose_stays():
    order = environment_order(pip_requirements=["azureml_inference_server_http==1.4.0"])
    assert serving_environment(order, "script").pip == ("azureml_inference_server_http==1.4.0",)


def test_a_lock_of_jobs_does_not_hold_for_serving():
    order = environment_order(pip_requirements=["numpy"])
    locked = environment_order(pip_requirements=["numpy"], lock=lock_text(order, "3.11", "numpy==1.0"))
    assert serving_environment(locked, "script").lock == ""


def test_an_mlflow_model_brings_its_requirements():
    files = {"requirements.txt": "mlflow==3.1\nscikit-learn==1.5\n", "python_env.yaml": "python: 3.11.7\n"}
    made = mlflow_environment(files, None)
    assert made.pip == ("mlflow==3.1", "scikit-learn==1.5", SERVER)
    assert made.python == "3.11"


def test_an_old_mlflow_model_has_a_conda_file_only():
    conda = {"dependencies": ["python=3.10.4", "numpy=1.26", {"pip": ["cloudpickle"]}]}
    made = mlflow_environment({"MLmodel": "python_version: 3.10.4"}, conda)
    assert made.python == "3.10"
    assert made.conda == ("numpy=1.26",)
    assert made.pip == ("cloudpickle", "mlflow", SERVER)


@pytest.mark.parametrize(
    ("ref", "wanted"),
    [
        (TreeRef(digest=DIGEST, kind="tree", name="model"), ("azureml-models/m/3", "azureml-models/m/3/model")),
        (TreeRef(digest=DIGEST, kind="tree"), ("azureml-models/m/3", "azureml-models/m/3")),
        (TreeRef(digest=DIGEST, kind="file", name="m.pkl"), ("azureml-models/m/3", "azureml-models/m/3/m.pkl")),
        (None, ("", "")),
    ],
)
def test_folders_keep_their_name_and_files_lie_directly(ref, wanted):
    assert model_path(ref, "model:m:3") == wanted


def test_names_never_leave_the_folder():
    folder, inside = model_path(TreeRef(digest=DIGEST, name="../../etc"), "model:../x:../y")
    assert ".." not in f"{folder}/{inside}".split("/")


def test_the_users_variables_win():
    places = Places("/app", "/models/m/1", "/models/m/1/m.pkl")
    made = variables(revision(environment_variables={"WORKER_COUNT": "4", "A": "1"}), places, 5001)
    assert made["WORKER_COUNT"] == "4"
    assert (made["AZUREML_MODEL_DIR"], made["AML_APP_ROOT"]) == ("/models/m/1", "/app")
    assert (made["AZUREML_ENTRY_SCRIPT"], made["MODEL_FILE_PATH"]) == ("src/score.py", "/models/m/1/m.pkl")
    assert "AZUREML_MODEL_DIR" not in variables(revision(), Places("/app"), 1)


def test_the_inference_server_finishes_the_longest_request_there_may_be():
    """Left alone, gunicorn cuts requests off 30 s after it was told to end."""
    assert variables(revision(), Places("/app"), 1)["GUNICORN_CMD_ARGS"] == "--graceful-timeout 300"
    assert "GUNICORN_CMD_ARGS" not in variables(revision(flavor="custom"), Places("/app"), 1)


def test_the_inference_server_listens_on_loopback():
    python, dash, code, *rest = argv(revision(), "/env/bin/python", 5001)
    assert (python, dash, rest) == ("/env/bin/python", "-c", ["--entry_script", "src/score.py", "--port", "5001"])
    ast.parse(code)
    assert "'127.0.0.1'" in code


def test_a_custom_program_gets_its_port():
    told = revision("custom", command="serve --port ${{port}}")
    assert argv(told, "", 7)[-1] == "serve --port 7"
    assert [takes_any_port(revision("custom", command=c)) for c in ("x $PORT", "x ${PORT}", "x", "x $PORTAL")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_routes_of_a_custom_program_move_with_its_port():
    environment = EnvironmentOrder(key="k", liveness="8501/live", readiness="8502/ready", scoring="8501/v1:predict")
    moved = routes(revision("custom", command="x $PORT", environment=environment), 4000)
    assert (moved.liveness, moved.readiness, moved.scoring) == (
        (4000, "/live"),
        (8502, "/ready"),
        (4000, "/v1:predict"),
    )
    fixed = routes(revision("custom", command="x", environment=environment), 4000)
    assert fixed.scoring == (8501, "/v1:predict")
    assert routes(revision(), 5).scoring == (5, "/score")


@pytest.mark.parametrize(
    ("asked", "flavor"),
    [
        (("mlflow_model", False, "", False), "mlflow"), (("mlflow_model", True, "", False), "script"),
        (("custom_model", True, "", False), "script"), (("custom_model", False, "", False), ""),
        (("triton_model", False, "", False), "triton"), (("", True, "run", False), "custom"),
        (("custom_model", False, "", True), "custom"),
    ],
)  # fmt: skip
def test_what_serves_a_model(asked, flavor):
    assert flavor_of(*asked) == flavor


def test_the_routers_table():
    order = EndpointOrder(workspace="w", name="e", compute="c", key_hashes=("h",))
    seen = (InstanceSeen(revision="r" * 10, instance=0, state="ready", port=9),)
    one = revision(request_timeout_ms=7, max_concurrent_requests=3, max_queue_wait_ms=11)
    plan = Plan({}, (one,), {one.revision: seen}, {one.revision: 100}, {"blue": one.revision}, {}, (), ServingMemory())
    made = endpoint_route("endpoint.w.e", order, plan)
    route = made.revisions[0]
    assert (made.key_hashes, made.weights, route.upstreams[0].port) == (("h",), {one.revision: 100}, 9)
    assert (route.request_timeout_ms, route.max_concurrent_requests, route.max_queue_wait_ms) == (7, 3, 11)
    assert (route.collect, route.model) == (0, "")


@pytest.mark.parametrize("collections", [("response",), ()])
def test_the_router_is_told_what_to_record(collections):
    asked = CollectionOrder(sampling_rate=0.5, rolling="day", collections=collections, headers=("x-a",))
    one = revision(collect=asked, model_name="model:net:7")
    plan = Plan({}, (one,), {}, {}, {}, {}, (), ServingMemory())
    order = EndpointOrder(workspace="w", name="e", compute="c", key_hashes=("h",))
    route = endpoint_route("endpoint.w.e", order, plan).revisions[0]
    told = (route.collect, route.collections, route.collect_headers, route.rolling, route.model)
    assert told == ((0.5, ("response",), ("x-a",), "day", "model:net:7") if collections else (
        0, ("request", "response"), (), "hour", "",
    ))  # fmt: skip


def test_the_mlflow_script_is_python():
    names = {node.name for node in ast.walk(ast.parse(SCRIPT)) if isinstance(node, ast.FunctionDef)}
    assert {"init", "run"} <= names
