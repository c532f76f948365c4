"""Answers as scripts and people want them."""

import json

import pytest

from ferryml.cli.output import queried, write, written
from ferryml.domain.errors import Refused

JOBS = [
    {"name": "a", "status": "Running", "tags": {"x": 1}, "inputs": [1, 2], "none": None, "ok": True},
    {"name": "b", "status": "Failed", "tags": {}, "inputs": [], "none": None, "ok": False},
]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("[0].name", "a\n"),
        ("[].name", "a\nb\n"),
        ("[].[name, none]", "a\tNone\nb\tNone\n"),
        ("[0].ok", "true\n"),
        ("[].ok", "true\nfalse\n"),
        ("[].[name, ok]", "a\tTrue\nb\tFalse\n"),
        ("length(@)", "2\n"),
        ("[0].[name, inputs, tags]", "a\n1\t2\n1\n"),
        ("[].{n: name, i: inputs, t: tags}", "a\t2\t\nb\t0\t\n"),
        ("[?contains(name, 'b')].status | [0]", "Failed\n"),
        ("[?name=='zzz']", ""),
    ],
)
def test_tsv_is_raw(query, text):
    assert written(queried(JOBS, query), "tsv") == text


def test_json_keeps_everything_and_every_letter():
    assert json.loads(written({"a": [None, 1.5, "ä"]}, "json")) == {"a": [None, 1.5, "ä"]}
    assert "ä" in written({"a": "ä"}, "json")


def test_yaml_is_read_back():
    assert written([{"a": {"b": None}, "c": "x: y"}], "yaml") == "- a:\n    b: null\n  c: 'x: y'\n"


def test_none_is_silent():
    assert written(JOBS, "none") == ""


def test_a_piped_table_is_plain():
    assert written(JOBS, "table", ("name", "status", "absent")) == (
        "Name  Status\n----  -------\na     Running\nb     Failed\n"
    )
    assert written("x", "table") == "Result\n------\nx\n"
    assert written([], "table") == ""
    assert written({"deep": {"er": "v"}}, "table", ("deep.er",)) == "Er\n--\nv\n"


def test_a_table_for_people_has_its_cells_as_they_are():
    text = written([{"name": "[red]x[/red]"}], "table", ("name",), terminal=True)
    assert "[red]x[/red]" in text


def test_colours_stay_on_the_terminal():
    assert "\x1b[" in written({"a": 1}, "jsonc", terminal=True)
    assert written({"a": 1}, "jsonc") == written({"a": 1}, "json")


def test_a_broken_query_is_named():
    with pytest.raises(Refused, match="--query") as caught:
        queried({}, "[")
    assert caught.value.code == "Usage"


def test_writing_flushes(capsys):
    import sys

    write("x", sys.stdout)
    assert capsys.readouterr().out == "x"
