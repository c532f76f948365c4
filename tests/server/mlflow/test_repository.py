"""The files as MLflow's own handlers see them."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from ferryml.server.mlflow.context import inside
from ferryml.server.mlflow.repository import TreeRepository


@pytest.fixture
def repository(server) -> TreeRepository:
    return TreeRepository(server.tree, "ferry-artifacts:/")


def test_files_go_in_and_come_out(repository, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.txt").write_bytes(b"a")
    (tmp_path / "in" / "b.txt").write_bytes(b"bb")
    with inside("green"):
        repository.log_artifacts(str(tmp_path / "in"), "workspaces/green/x")
        repository.log_artifact(str(tmp_path / "in" / "b.txt"), "x")
        listed = [(info.path, info.is_dir, info.file_size) for info in repository.list_artifacts("x")]
        assert listed == [("x/b.txt", False, 2), ("x/deep", True, None)]
        got = repository.download_artifacts("x/deep/a.txt", str(tmp_path / "out"))
        assert Path(got).read_bytes() == b"a"
        repository.delete_artifacts("x")
        assert repository.list_artifacts() == []


def test_an_address_that_names_another_workspace_is_refused(server, tmp_path):
    server.tree.put("Red_Team", "1/secret", [b"x"])
    with inside("green"):
        for root in ("ferry-artifacts:/workspaces/red", "mlflow-artifacts:/workspaces/x--abc/1"):
            with pytest.raises(MlflowException):
                TreeRepository(server.tree, root).list_artifacts()
        with pytest.raises(MlflowException):
            TreeRepository(server.tree, "ferry-artifacts:/").download_artifacts("../secret", str(tmp_path))
        with pytest.raises(MlflowException, match="No such artifact"):
            TreeRepository(server.tree, "ferry-artifacts:/").download_artifacts("1/secret", str(tmp_path))
