"""The unmodified client against the real thing."""

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
        with mlflow.start_run(nested=True):
            mlflow.log_param("depth", 1)
    loaded = mlflow.pyfunc.load_model("models:/iris/1")
    assert (loaded.predict(x) == model.predict(x)).all()
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/hello.txt") == "hello"
    found = mlflow.search_runs(experiment_names=["digits"], output_format="list")
    assert len(found) == 2, found
    assert found[1].data.metrics["accuracy"] > 0.9
    assert [a.path for a in MlflowClient().list_artifacts(run.info.run_id)], "artifacts are listed"
    client = MlflowClient()
    client.set_registered_model_alias("iris", "champion", "1")
    assert client.get_model_version_by_alias("iris", "champion").version in ("1", 1)
    print(run.info.run_id)
"""


def test_a_training_script_of_today_works_unmodified(server):
    run_id = server.python("anna", TRAIN)
    assert len(run_id) == 32
    metrics = server.tracking.metrics("blue", run_id)
    assert metrics["accuracy"] > 0.9
