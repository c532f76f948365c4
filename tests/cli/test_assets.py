"""The verbs of versioned things."""

import json

import pytest

from ferryml.cli.assets import archived_word, chosen, here


def test_versions_are_made_shown_and_fetched(ferry, alone):
    (alone / "files").mkdir()
    (alone / "files" / "a.txt").write_text("one")
    first = ferry("model", "create", "-n", "m", "--path", "files", "--query", "[name, version]", "-o", "tsv")
    assert (first.code, first.out) == (0, "m\n1\n"), first.err
    (alone / "files" / "a.txt").write_text("two")
    assert json.loads(ferry("model", "create", "-n", "m", "-p", "files").out)["version"] == "2"
    assert ferry("model", "show", "-n", "m", "--query", "version", "-o", "tsv").out == "2\n"
    assert ferry("model", "show", "-n", "m", "--label", "latest", "--query", "version", "-o", "tsv").out == "2\n"
    assert ferry("model", "list", "-n", "m", "--query", "length(@)").out == "2\n"
    assert ferry("model", "download", "-n", "m", "-v", "1", "-p", "dl").code == 0
    assert (alone / "dl" / "m" / "a.txt").read_text() == "one"
    again = ferry("model", "download", "-n", "m", "-v", "2", "-p", "dl")
    assert (again.code, again.err.split()[1]) == (1, "[AlreadyExists]")


def test_paths_of_options_start_here_and_of_files_there(ferry, alone):
    (alone / "sub").mkdir()
    (alone / "sub" / "d.csv").write_text("x")
    (alone / "sub" / "data.yml").write_text("name: rel\ntype: uri_file\npath: d.csv\n")
    assert ferry("data", "create", "-f", "sub/data.yml").code == 0
    (alone / "e.csv").write_text("y")
    made = ferry("data", "create", "-f", "sub/data.yml", "--path", "e.csv", "--version", "7")
    assert json.loads(made.out)["path"].endswith(":e.csv")
    assert here("e.csv") == str(alone / "e.csv")
    assert here("azureml:d:1") == "azureml:d:1"
    assert here(None) is None


def test_words_change_content_does_not(ferry):
    assert ferry("environment", "create", "-n", "e", "--set", 'pip_requirements=["numpy"]', "--version", "1").code == 0
    changed = ferry("environment", "update", "-n", "e", "-v", "1", "--set", "tags.team=blue", "description=nice")
    assert json.loads(changed.out)["tags"] == {"team": "blue"}
    assert ferry("environment", "update", "-n", "e", "--set", "image=x").code == 1


def test_archived_ones_are_hidden(ferry, alone):
    (alone / "f").write_text("x")
    assert ferry("data", "create", "-n", "old", "--type", "uri_file", "--path", "f").code == 0
    assert ferry("data", "archive", "-n", "old").code == 0
    names = ["data", "list", "--query", "[].name", "-o", "tsv"]
    assert "old" not in ferry(*names).out
    assert "old" in ferry(*names, "--include-archived").out
    assert ferry("data", "restore", "-n", "old").code == 0
    assert "old" in ferry(*names).out
    assert ferry("data", "archive", "-n", "never").code == 1


@pytest.mark.parametrize(("version", "label", "asked"), [("1", None, "1"), (None, "x", "@x"), (None, None, "@latest")])
def test_a_version_or_a_label(version, label, asked):
    assert chosen(version, label) == asked


def test_the_servers_word_for_archived():
    assert [archived_word(*pair) for pair in ((False, False), (True, False), (True, True))] == ["no", "any", "yes"]
