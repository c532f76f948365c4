"""Long operations and their ends."""

import pytest
import typer

from ferryml.cli.kit import Shared
from ferryml.cli.settling import left, settled
from ferryml.domain.errors import Refused


def test_a_good_end_is_the_answer():
    thing = {"name": "x", "provisioning_state": "Succeeded"}
    assert settled(Shared(), "endpoint x", lambda: thing) == thing


@pytest.mark.parametrize(("code", "told"), [("UserScriptInitFailed", "UserScriptInitFailed"), ("", "ResourceNotReady")])
def test_a_bad_end_has_the_operations_code_and_reason(code, told):
    thing = {"name": "x", "provisioning_state": "Failed", "ferry": {"code": code, "reason": "init() raised"}}
    with pytest.raises(Refused, match=r"init\(\) raised") as caught:
        settled(Shared(), "deployment x", lambda: thing)
    assert caught.value.code == told


def test_a_canceled_one_exits_with_1(capsys):
    with pytest.raises(typer.Exit) as caught:
        settled(Shared(), "endpoint x", lambda: {"name": "x", "provisioning_state": "Canceled"})
    assert caught.value.exit_code == 1
    assert "canceled" in capsys.readouterr().err


def test_what_a_script_raised_is_shown(capsys):
    ours = {"code": "UserScriptInitFailed", "traceback": "Traceback:\n  boom", "error_lines": ["no weights"]}
    with pytest.raises(Refused):
        settled(Shared(), "deployment x", lambda: {"name": "x", "provisioning_state": "Failed", "ferry": ours})
    assert capsys.readouterr().err.splitlines() == ["  no weights", "  Traceback:", "    boom"]


def test_what_waits_for_offline_sites_is_said_and_no_failure(capsys):
    ours = {"waiting_for": ["c2"], "reason": "c2: waits for its site, which is offline"}
    thing = {"name": "x", "provisioning_state": "Updating", "ferry": ours}
    assert settled(Shared(), "endpoint x", lambda: thing) == thing
    left(Shared(), "endpoint x", lambda: thing)
    assert capsys.readouterr().err.count("endpoint x: c2: waits for its site, which is offline") == 2
    left(Shared(), "endpoint x", lambda: None)
    assert "offline" not in capsys.readouterr().err
