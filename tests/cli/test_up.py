"""`ferry up` where something is there already; the rest is in tests/system."""

import pytest

from ferryml.cli.local import LocalState
from ferryml.cli.up import begin, expect, where
from ferryml.domain.errors import Unavailable


def test_a_second_one_says_where_the_first_is(typed, alone):
    state = LocalState(alone / ".ferry")
    state.folder.mkdir()
    (state.folder / "url").write_text("http://127.0.0.1:9\n")
    state.write(ready=True)
    said = typed("up")
    assert (said.code, said.err.split()[1]) == (1, "[AlreadyRunning]")
    assert "http://127.0.0.1:9" in said.err
    assert where(None).folder == state.folder


def test_without_the_extras_nothing_is_begun(typed, alone, monkeypatch):
    monkeypatch.setattr("ferryml.cli.programs.NEEDED", ("no_such_library",))
    said = typed("up")
    assert (said.code, said.err.splitlines()[1]) == (1, "Hint: pip install 'ferryml[server,agent]'")
    assert not (alone / ".ferry").exists()


def test_one_that_ends_at_once_says_why(tmp_path):
    with pytest.raises(Unavailable, match="No such option"):
        begin(LocalState(tmp_path / "state"), ("--no-such-option",), {})


def test_one_that_was_started_is_waited_for(tmp_path):
    state = LocalState(tmp_path)
    state.write(ready=True)
    expect(state)
    state.forget()
    with pytest.raises(Unavailable, match="not ready"):
        expect(state)
