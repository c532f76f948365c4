"""`ferry login`."""

import io
import json
import stat

from ferryml.sdk.config import config_path


def test_a_token_is_checked_and_remembered_privately(typed, desk, monkeypatch):
    import os

    said = typed("login", "--url", desk.target.url, "--token", desk.token("reader"), "-n", "work")
    assert said.code == 0, said.err
    assert "as reader (reader); context work" in said.err
    file = config_path(os.environ)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    who = json.loads(typed("whoami").out)
    assert (who["role"], who["workspace"]) == ("reader", "team")
    assert json.loads(typed("context", "show").out)["source"] == "context work"


def test_a_wrong_token_is_not_remembered(typed, desk):
    said = typed("login", "--url", desk.target.url, "--token", "fry_x_y")
    assert (said.code, said.err.split()[1]) == (1, "[Unauthenticated]")
    assert json.loads(typed("context", "list").out) == []


def test_a_token_may_come_by_standard_input(typed, desk, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(desk.token("reader") + "\n"))
    assert typed("login", "--url", desk.target.url, "--token", "-").code == 0
    assert typed("login", "--url", desk.target.url).code == 2
