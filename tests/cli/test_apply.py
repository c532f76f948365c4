"""`ferry apply`: the difference, then the deed."""

import json

import pytest

from ferryml.cli.apply import files
from ferryml.domain.errors import Refused

ALL = """\
kind: data
name: d
version: "1"
type: uri_folder
path: ./files
description: {words}
---
kind: workspace
name: team
description: {words}
---
kind: job
name: {job}
command: "true"
environment: {{pip_requirements: [numpy]}}
compute: c1
"""


@pytest.fixture
def folder(alone):
    (alone / "all" / "files").mkdir(parents=True)
    (alone / "all" / "files" / "a.txt").write_text("x")
    return alone / "all"


def test_twice_is_once(ferry, folder):
    (folder / "x.yml").write_text(ALL.format(words="one", job="j1"))
    dry = ferry("apply", "-f", "all", "--dry-run")
    assert (dry.code, dry.out.splitlines()) == (
        0,
        ["~ workspace team: update", "    description:  -> one", "+ data d: create", "+ job j1: create"],
    )
    assert ferry("data", "show", "-n", "d").code == 1
    done = ferry("apply", "-f", "all")
    assert (done.code, done.out) == (0, dry.out), done.err
    again = ferry("apply", "-f", "all/x.yml", "--query", "[].action", "-o", "tsv")
    assert again.out.split() == ["unchanged"] * 3
    (folder / "x.yml").write_text(ALL.format(words="two", job="j1"))
    changed = json.loads(ferry("apply", "-f", "all", "-o", "json").out)
    assert [row["action"] for row in changed] == ["update", "update", "unchanged"]
    assert changed[1]["changes"] == {"description": {"from": "one", "to": "two"}}


def test_one_bad_document_stops_all_of_them(ferry, folder):
    (folder / "a.yml").write_text("kind: data\nname: never\ntype: uri_folder\npath: ./files\n")
    (folder / "b.yml").write_text("kind: data\nname: bad\nnonsense: 1\n")
    said = ferry("apply", "-f", "all")
    assert (said.code, said.out) == (2, "")
    assert ferry("data", "show", "-n", "never").code == 1


def test_folders_are_read_in_order_without_hidden_files(tmp_path):
    for name in ("b.yml", "a.yaml", "sub/c.yml", ".hidden/d.yml", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [file.name for file in files(tmp_path)] == ["a.yaml", "b.yml", "c.yml"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(Refused):
        files(empty)
