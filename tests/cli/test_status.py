"""`ferry status`."""

import json

from ferryml.cli.local import LocalState


def test_nothing_runs(typed):
    assert typed("status").err.startswith("Error: [NotRunning]")


def test_what_runs_is_asked_how_it_is(typed, alone, desk):
    state = LocalState(alone / ".ferry")
    state.folder.mkdir()
    (state.folder / "url").write_text(desk.target.url)
    (state.folder / "admin.token").write_text(desk.target.token)
    state.write(ready=True)
    said = json.loads(typed("status").out)
    assert (said["answers"], said["ready"], said["sites"]) == (True, True, {"cloud": "Online"})
    (state.folder / "admin.token").write_text("wrong")
    assert json.loads(typed("status").out)["error"]["code"] == "Unauthenticated"
