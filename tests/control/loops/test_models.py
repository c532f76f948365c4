"""Models: what either registry has, the other gets; once, and never another's content."""

import pytest

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.compile.tree import bytes_digest
from ferryml.control import assets
from ferryml.control.loops import models
from ferryml.control.ports import ModelVersion

FILES = {"MLmodel": b"flavors: {}", "model.pkl": b"pickle"}


def logged(play, run="", version="1", source="1/models/m-1/artifacts", created=1000):
    """A client of MLflow registers `net`."""
    for path, data in FILES.items():
        play.upload(data)
        with play.store.begin() as tx:
            tx.put_path(WORKSPACE, f"{source}/{path}", bytes_digest(data), len(data))
    play.tracking.logged(
        ModelVersion(workspace=WORKSPACE, name="net", version=version, source=source, run_id=run, created_ms=created)
    )


def show(play, version="1"):
    return assets.show(play.deps, OWNER, WORKSPACE, "model", "net", version)


def test_nothing_to_do(play):
    assert models.tick(play.deps) == 0


def test_what_mlflow_registered_is_a_ferry_model_with_its_job(play):
    play.site()
    name = play.running()
    logged(play, play.shown(name)["mlflow_run_id"])
    assert models.tick(play.deps) == 1
    assert models.tick(play.deps) == 0
    assert (show(play)["type"], show(play)["job_name"]) == ("mlflow_model", name)


def test_what_ferry_registered_is_an_mlflow_version(play):
    folder = play.folder(FILES)
    document = {"name": "net", "type": "mlflow_model", "path": f"content:tree:{folder.digest}:m"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", document)
    assert models.tick(play.deps) == 1
    assert models.tick(play.deps) == 0
    told = play.tracking.versions[WORKSPACE, "net", "1"]
    with play.store.read() as tx:
        assert {file.path for file in tx.paths(WORKSPACE, told.source)} == {f"{told.source}/{path}" for path in FILES}


def test_single_files_are_told_as_well(play):
    digest = play.upload(b"pickle")
    document = {"name": "net", "path": f"content:file:{digest}:net.pkl"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", document)
    assert models.tick(play.deps) == 1


def test_files_that_are_not_there_yet_are_waited_for(play):
    play.tracking.logged(ModelVersion(workspace=WORKSPACE, name="net", version="1", source="none", created_ms=5))
    assert models.tick(play.deps) == 0
    logged(play, source="none")
    assert models.tick(play.deps) == 1


def test_a_number_that_mlflow_has_otherwise_is_noted(play):
    play.tracking.logged(ModelVersion(workspace=WORKSPACE, name="net", version="1", source="theirs", created_ms=5))
    folder = play.folder({"w": b"w"})
    assets.create(play.deps, OWNER, WORKSPACE, "model", {"name": "net", "path": f"content:tree:{folder.digest}:m"})
    assert models._tell_mlflow(play.deps, _row(play)) == 1
    assert "another version" in _row(play).status["mlflow_note"]


@pytest.mark.parametrize(("release", "zones"), [({}, ["onprem"]), ({"models": "allow"}, [])])
def test_models_of_bound_jobs_are_bound_unless_released(play, release, zones):
    name = bound_job(play, release=release)
    logged(play, play.shown(name)["mlflow_run_id"])
    models.tick(play.deps)
    assert show(play)["ferry"]["residency"]["zones"] == zones


def _row(play):
    with play.store.read() as tx:
        return tx.get("model", WORKSPACE, "net", "1")
