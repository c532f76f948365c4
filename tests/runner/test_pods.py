import pytest

from ferryml.runner.main import main


@pytest.mark.parametrize("argv", [["stage"], ["collect", "--plan", "p"], ["stage", "--folder", "f", "--plan", "p"]])
def test_wrong_arguments_are_said(argv, capsys):
    assert main(argv) == 2
    assert "usage" in capsys.readouterr().out


def test_ready_is_asked_without_arguments(monkeypatch):
    monkeypatch.setenv("FERRY_DOOR_PORT", "1")
    assert main(["ready"]) == 1
