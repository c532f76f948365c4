"""The unmodified client against the real thing, and everyone who may not."""

import base64
import contextlib

import psutil
import pytest

from mlflow_things import post

TRAIN = """
    import mlflow, sys
    from mlflow import MlflowClient
    mlflow.set_experiment("digits")
    mlflow.sklearn.autolog()
    from sklearn.linear_model import LogisticRegression
    from sklearn.datasets import load_iris
    x, y = load_iris(return_X_y=True)
    with mlflow.start_run() as run:
        model = LogisticRegression(max_iter=300).fit(x, y)
        info = mlflow.sklearn.log_model(model, name="again", registered_model_name="iris")
        mlflow.log_metric("accuracy", model.score(x, y))
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": 1}, "notes/a.json")
        with mlflow.start_run(nested=True):
            mlflow.log_param("depth", 1)
    loaded = mlflow.pyfunc.load_model("models:/iris/1")
    assert (loaded.predict(x) == model.predict(x)).all()
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/hello.txt") == "hello"
    found = mlflow.search_runs(experiment_names=["digits"], output_format="list")
    assert len(found) == 2, found
    assert found[1].data.metrics["accuracy"] > 0.9
    client = MlflowClient()
    assert [a.path for a in client.list_artifacts(run.info.run_id, "notes")] == ["notes/a.json", "notes/hello.txt"]
    client.set_registered_model_alias("iris", "champion", "1")
    assert mlflow.pyfunc.load_model("models:/iris@champion") is not None
    assert client.search_logged_models(experiment_ids=[run.info.experiment_id])
    with mlflow.start_span("thinking") as span:
        span.set_inputs({"question": 1})
    mlflow.flush_trace_async_logging()
    traces = mlflow.search_traces(locations=[run.info.experiment_id], return_type="list")
    assert any(t.data.spans and t.data.spans[0].name == "thinking" for t in traces), traces
    print(run.info.run_id)
"""


def a_training_script_works(server) -> None:
    run_id = server.python("anna", TRAIN)
    assert server.tracking.metrics("blue", run_id)["accuracy"] > 0.9
    assert server.tracking.params("blue", run_id)["max_iter"] == "300"


def test_a_training_script_of_today_works_unmodified(server):
    a_training_script_works(server)


def test_in_a_workspace_that_mlflow_would_not_name_so(server):
    server.python(
        "rosa",
        """
        import mlflow
        mlflow.set_experiment("e")
        with mlflow.start_run() as run:
            mlflow.log_text("x", "a.txt")
        assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a.txt") == "x"
        """,
    )
    assert "a.txt" in [file.path.rsplit("/", 1)[1] for file in server.tree.below("Red_Team", "")]


def test_the_default_workspace_has_the_default_experiment(server):
    server.python("dora", "import mlflow; mlflow.log_metric('m', 1); mlflow.log_text('x', 'a.txt')")
    assert len(server.tree.below("default", "")) == 1


def test_other_workspaces_have_one_too(server):
    script = """
        import mlflow
        mlflow.sklearn.autolog()
        with mlflow.start_run() as run:
            mlflow.log_metric("m", 1)
            mlflow.log_text("x", "a.txt")
        with mlflow.start_span("s"):
            pass
        mlflow.flush_trace_async_logging()
        assert len(mlflow.search_runs(output_format="list")) == 1
        assert mlflow.search_traces(return_type="list")
        print(run.info.experiment_id)
    """
    assert server.python("rosa", script) not in ("0", "")
    with server.client("rosa") as rosa:
        found = rosa.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"}).json()["experiment"]
        assert found["name"] == "Default"
        assert found["experiment_id"] != "0"


def test_a_reader_reads(server):
    refused = server.try_python("reed", "import mlflow; mlflow.set_experiment('mine')")
    assert refused.returncode != 0
    assert "may only read" in refused.stderr
    with server.client("reed") as reader:
        assert reader.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1}).status_code == 200
        assert reader.put("/api/2.0/mlflow-artifacts/artifacts/1/x", content=b"").status_code == 403


@pytest.mark.parametrize("token", ["scott", "nobody"])
def test_scorers_and_strangers_get_nothing(server, token):
    with server.client(token) as client:
        for path in ("/", "/version", "/static-files/x.js", "/api/2.0/mlflow/experiments/search?max_results=1"):
            assert client.get(path).status_code == (403 if token == "scott" else 401)
    refused = server.try_python(token, "import mlflow; mlflow.set_experiment('mine')")
    assert refused.returncode != 0


def test_it_operators_read_only(server):
    with server.client("ivan") as ivan:
        assert ivan.get("/api/2.0/mlflow/experiments/search?max_results=1").status_code == 200
        assert ivan.post("/api/2.0/mlflow/experiments/create", json={"name": "x"}).status_code == 403


@pytest.mark.parametrize(("named", "status"), [("blue", 200), ("", 200), ("default", 403), ("Red_Team", 403)])
def test_a_client_cannot_choose_another_workspace(server, named, status):
    with server.client("anna", **{"X-MLFLOW-WORKSPACE": named}) as anna:
        assert anna.get("/api/2.0/mlflow/experiments/search?max_results=1").status_code == status
        assert anna.get("/api/2.0/mlflow-artifacts/artifacts").status_code == status


def test_a_browser_says_basic_and_sees_the_pages(server):
    basic = base64.b64encode(b"me:anna").decode()
    with server.client("") as browser:
        browser.headers["Authorization"] = f"Basic {basic}"
        page = browser.get("/")
        assert page.status_code == 200
        assert "MLflow" in page.text
        info = browser.get("/ajax-api/3.0/mlflow/server-info").json()
        assert info["workspaces_enabled"] is True
        own = browser.get("/ajax-api/3.0/mlflow/workspaces").json()["workspaces"]
        assert [workspace["name"] for workspace in own] == ["blue"]
    with server.client("nobody") as stranger:
        assert stranger.get("/").headers["www-authenticate"].startswith("Basic")


def test_another_sites_page_cannot_write(server):
    with server.client("anna", Origin="https://evil.example") as page:
        assert page.post("/api/2.0/mlflow/experiments/create", json={"name": "evil"}).status_code == 403
    with server.client("anna", Origin=server.url) as page:
        assert page.post("/api/2.0/mlflow/experiments/create", json={"name": "good"}).status_code == 200


def test_model_versions_name_nothing_outside(server):
    with server.client("anna") as anna:
        post(anna, "/api/2.0/mlflow/registered-models/create", name="outside")
        for source in (
            "s3://bucket/x", "file:///etc", "/etc/passwd", "http://169.254.169.254/x", "ftp://h/x", "dbfs:/x",
            "mlflow-artifacts://evil.example/x", "mlflow-artifacts:/x", "runs:/" + "0" * 32 + "/m",
        ):  # fmt: skip
            body = {"name": "outside", "source": source}
            answer = anna.post("/api/2.0/mlflow/model-versions/create", json=body)
            assert answer.status_code == 400, (source, answer.text)


def test_an_experiment_cannot_keep_its_files_elsewhere(server):
    with server.client("anna") as anna:
        body = {"name": "elsewhere", "artifact_location": "file:///tmp/elsewhere"}
        assert anna.post("/api/2.0/mlflow/experiments/create", json=body).status_code == 400


def test_a_traces_files_are_not_read_from_elsewhere(server, red):
    with server.client("anna") as anna:
        body = {"experiment_id": server.mine, "timestamp_ms": 1, "request_metadata": [], "tags": []}
        made = anna.post("/api/2.0/mlflow/traces", json=body)
        assert made.status_code == 200, made.text
        trace = made.json()["trace_info"]["request_id"]
        for place in (f"mlflow-artifacts:/{red.folder}", "file:///etc"):
            body = {"key": "mlflow.artifactLocation", "value": place}
            anna.patch(f"/api/2.0/mlflow/traces/{trace}/tags", json=body)
            got = anna.get("/ajax-api/2.0/mlflow/get-trace-artifact", params={"request_id": trace})
            assert got.status_code >= 400, got.text


def test_a_job_writes_to_its_own_runs_only(server):
    run_id = server.tracking.create_run("blue", "jobs", "one", {"mlflow.user": "anna"})
    script = """
        import mlflow, os
        with mlflow.start_run():
            mlflow.log_metric("m", 1)
            mlflow.log_text("x", "a.txt")
            with mlflow.start_run(nested=True) as child:
                mlflow.log_metric("m", 2)
                mlflow.log_text("y", "b.txt")
            info = mlflow.pyfunc.log_model(python_model=lambda model_input: model_input, name="m",
                                           registered_model_name="ofone", pip_requirements=["mlflow"])
        print(child.info.run_id, info.model_id)
    """
    env = {"MLFLOW_RUN_ID": run_id, "MLFLOW_EXPERIMENT_NAME": "jobs"}
    child, model = server.python("job-one", script, **env).split()
    assert server.tracking.metrics("blue", run_id) == {"m": 1.0}
    refused = server.try_python("job-two", script, **env)
    assert refused.returncode != 0
    assert "is not of job two" in refused.stderr
    with server.client("job-two") as two:
        experiment = two.get("/api/2.0/mlflow/runs/get", params={"run_id": child}).json()["run"]["info"][
            "experiment_id"
        ]
        files = "/api/2.0/mlflow-artifacts/artifacts"
        for path in (f"{experiment}/{child}/artifacts/x", f"{experiment}/models/{model}/artifacts/MLmodel"):
            assert two.put(f"{files}/{path}", content=b"evil").status_code == 403
            assert two.delete(f"{files}/{path}").status_code == 403
        tags = {"tags": [{"key": "a", "value": "b"}]}
        assert two.patch(f"/api/2.0/mlflow/logged-models/{model}/tags", json=tags).status_code == 403
        assert two.get(f"{files}/{experiment}/{child}/artifacts/b.txt").text == "y"
    with server.client("job-one") as one:
        for rule in ("experiments/delete", "experiments/update"):
            answer = one.post(f"/api/2.0/mlflow/{rule}", json={"experiment_id": experiment, "new_name": "x"})
            assert answer.status_code == 403, rule


def test_only_ferry_writes_ferrys_tags(server):
    run_id = server.tracking.create_run("blue", "jobs", "tagged", {})
    calls = {
        "set-tag": {"run_id": run_id, "key": "ferry.job", "value": "mine"},
        "delete-tag": {"run_id": run_id, "key": "ferry.job"},
        "log-batch": {"run_id": run_id, "tags": [{"key": "ferry.job", "value": "mine"}]},
    }
    with server.client("boss") as boss:
        run = boss.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]
        tags = [{"key": "ferry.child_of", "value": "one"}]
        calls["create"] = {"experiment_id": run["info"]["experiment_id"], "tags": tags}
        for call, body in calls.items():
            assert boss.post(f"/api/2.0/mlflow/runs/{call}", json=body).status_code == 403, call


def test_no_processes_are_started_and_memory_is_bounded(server):
    said = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended since; a zombie is one, too
            said.append(" ".join(child.cmdline()))
    assert not [words for words in said if "mlflow" in words or "huey" in words], said


def test_postgres_serves_the_same_script(on_postgres):
    a_training_script_works(on_postgres)
