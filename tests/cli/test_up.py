"""`ferry up` where something is there already; the rest is in tests/system."""

from ferryml.cli.local import LocalState
from ferryml.cli.up import where


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
