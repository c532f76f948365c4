"""One MLflow per process, on its own database."""

import pytest
import sqlalchemy as sa
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from ferryml.domain.errors import Defect
from ferryml.server.mlflow.context import inside
from ferryml.server.mlflow.host import MlflowHost


class NoTree:
    """No call of these tests touches files."""


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_workspaces_are_made_once(url):
    host = MlflowHost(url, NoTree())
    for _ in range(2):
        host.ensure_workspace("blue")
    again = MlflowHost(url, NoTree())
    again.ensure_workspace("blue")
    assert {workspace.name for workspace in again.workspaces.list_workspaces()} == {"blue", "default"}


def test_what_was_kept_is_there_after_a_restart(url):
    host = MlflowHost(url, NoTree())
    host.ensure_workspace("blue")
    with inside("blue"):
        made = host.tracking.create_experiment("kept")
    host.engine.dispose()
    with inside("blue"):
        assert MlflowHost(url, NoTree()).tracking.get_experiment(made).name == "kept"


def test_an_older_schema_is_migrated(url):
    host = MlflowHost(url, NoTree())
    with host.engine.begin() as connection:
        head = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    with host.engine.begin() as connection:
        config = _get_alembic_config(url)
        config.attributes["connection"] = connection
        command.downgrade(config, "-1") if _can_go_back(config) else pytest.skip("MLflow's last step has no way back")
    host.engine.dispose()
    again = MlflowHost(url, NoTree())
    with again.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == head


def _can_go_back(config) -> bool:
    import inspect

    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    revision = script.get_revision(script.get_current_head())
    return "pass" not in inspect.getsource(revision.module.downgrade).split()


def test_the_first_of_two_hosts_says_that_it_lost_its_place(url, tmp_path):
    first = MlflowHost(url, NoTree())
    MlflowHost(f"sqlite:///{tmp_path}/other.db", NoTree())
    with pytest.raises(Defect):
        _ = first.flask


def test_mlflow_reads_no_other_place(url):
    MlflowHost(url, NoTree())
    for place in ("file:///etc", "/etc", "s3://b/x", "http://h/x", "ftp://h/x", "runs:/x", "models:/x"):
        with pytest.raises(MlflowException):
            get_artifact_repository(place)
