"""Edits of what exists."""

import pytest

from ferryml.cli.editing import changes
from ferryml.cli.kit import Edits
from ferryml.domain.errors import Refused

THING = {"name": "x", "tags": {"a": "1"}, "count": 1, "list": [1, 2], "deep": {"er": {"est": 1}}}


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ({"set": ["count=2"]}, {"count": 2}),
        ({"set": ["tags.b=true"]}, {"tags": {"a": "1", "b": True}}),
        ({"set": ["tags.b=true"], "force_string": True}, {"tags": {"a": "1", "b": "true"}}),
        ({"set": ["deep.er.est=[1]", "count=3"]}, {"deep": {"er": {"est": [1]}}, "count": 3}),
        ({"add": ["list\x1f3"]}, {"list": [1, 2, 3]}),
        ({"add": ["list\x1fa=1\x1fb=x"]}, {"list": [1, 2, {"a": 1, "b": "x"}]}),
        ({"add": ["tags\x1fc=x"]}, {"tags": {"a": "1", "c": "x"}}),
        ({"add": ["fresh\x1fone"]}, {"fresh": ["one"]}),
        ({"remove": ["list\x1f0"]}, {"list": [2]}),
        ({"remove": ["tags.a"]}, {"tags": {}}),
        ({"remove": ["tags"]}, {"tags": None}),
        ({}, {}),
    ],
)
def test_only_what_was_touched_changes(edits, changed):
    before = repr(THING)
    assert changes(THING, Edits(**edits)) == changed
    assert repr(THING) == before


@pytest.mark.parametrize(
    "edits",
    [
        {"set": ["count"]},
        {"add": ["list"]},
        {"add": ["count\x1f1"]},
        {"remove": ["absent"]},
        {"remove": ["list\x1f9"]},
        {"set": ["name.inner=1"]},
    ],
)
def test_what_cannot_be_is_refused(edits):
    with pytest.raises(Refused) as caught:
        changes(THING, Edits(**edits))
    assert caught.value.code == "BadValue"
