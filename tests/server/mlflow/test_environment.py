"""MLflow's settings are ours, whatever the shell says, and hold no secret."""

import os

from ferryml.server.mlflow.environment import FOREIGN, VARIABLES, settle


def test_a_clients_settings_do_not_become_the_servers(monkeypatch):
    for name in FOREIGN:
        monkeypatch.setenv(name, "theirs")
    for name in VARIABLES:
        monkeypatch.setenv(name, "theirs")
    settle()
    assert not [name for name in FOREIGN if name in os.environ]
    assert all(os.environ[name] == value for name, value in VARIABLES.items())


def test_no_database_address_is_inherited_by_children(server):
    assert not [name for name, value in os.environ.items() if "mlflow.db" in value]
