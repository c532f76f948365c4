"""`ferry down` with nothing to stop; the rest is in tests/system."""


def test_nothing_runs(typed):
    said = typed("down")
    assert (said.code, said.err.split()[1]) == (1, "[NotRunning]")
    assert "`ferry up`" in said.err


def test_the_private_one_is_another(typed, alone):
    said = typed("down", "--local")
    assert (said.code, said.err.splitlines()[0]) == (
        1,
        f"Error: [NotRunning] nothing runs in {alone.parent}/.ferry/local",
    )
