"""Where a server keeps what it remembers."""

from pathlib import Path

from ferryml.bootstrap import state
from ferryml.settings.server import ServerSettings


def test_everything_is_below_one_folder_unless_told_otherwise(tmp_path):
    settings = ServerSettings(state_dir=tmp_path)
    assert state.database_url(settings) == f"sqlite:///{tmp_path}/ferry.db"
    assert state.mlflow_url(settings) == f"sqlite:///{tmp_path}/mlflow.db"
    assert state.key_file(settings) == tmp_path / "keys" / "server.json"
    assert state.admin_token_file(settings) == tmp_path / "admin.token"
    kept = state.memory(settings)
    assert set(kept.databases) == {"ferry", "mlflow"}
    assert kept.files == {"server.json": tmp_path / "keys" / "server.json"}


def test_each_place_can_be_another(tmp_path):
    settings = ServerSettings(
        state_dir=tmp_path, database_url="postgresql://h/d", mlflow_database_url="postgresql://h/m",
        encryption_key_file=Path("/etc/ferry/key"), artifacts_url=f"file://{tmp_path}/elsewhere",
    )  # fmt: skip
    assert state.database_url(settings) == "postgresql://h/d"
    assert state.mlflow_url(settings) == "postgresql://h/m"
    assert state.key_file(settings) == Path("/etc/ferry/key")
    state.blobs(settings).put([b"x"])
    assert (tmp_path / "elsewhere").is_dir()
