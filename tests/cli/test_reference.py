"""The reference names every command, and shared options only once."""

from ferryml.cli.reference import markdown


def test_commands_have_their_usage_and_options():
    page = markdown()
    assert "### ferry job create" in page
    assert "ferry job create [OPTIONS]" in page
    assert "`-f, --file <path>`" in page


def test_shared_options_stand_in_one_place():
    assert markdown().count("--only-show-errors") == 1


def test_the_page_does_not_depend_on_the_terminal(monkeypatch):
    wide = markdown()
    monkeypatch.setenv("COLUMNS", "40")
    assert markdown() == wide
