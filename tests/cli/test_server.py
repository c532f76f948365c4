"""`ferry server`: refuses before it begins; a running one is in tests/system."""


def test_tokens_never_travel_in_the_clear(typed, alone):
    said = typed("server", "--host", "0.0.0.0", "--state-dir", "s")
    assert (said.code, said.err.split()[1]) == (2, "[BadValue]")
    assert "TLS" in said.err


def test_an_unknown_setting_is_named(typed, alone):
    (alone / "f.toml").write_text("[server]\nprot = 1\n")
    assert "server.port" in typed("server", "--config", "f.toml").err
