"""`ferry down` with nothing to stop; the rest is in tests/system."""


def test_nothing_runs(typed):
    said = typed("down")
    assert (said.code, said.err.split()[1]) == (1, "[NotRunning]")
    assert "`ferry up`" in said.err
