"""`ferry demo` needs the extras."""


def test_without_the_extras_it_says_how_to_get_them(typed, monkeypatch):
    monkeypatch.setattr("ferryml.cli.programs.NEEDED", ("no_such_library",))
    assert "pip install" in typed("demo").err
