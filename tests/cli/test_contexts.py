"""`ferry context`."""

import json
import os

import pytest

from ferryml.sdk.config import Contexts


@pytest.fixture
def two(alone):
    saved = Contexts.read(os.environ)
    saved.contexts = {"a": {"url": "http://a", "token": "s3cret"}, "b": {"url": "http://b", "workspace": "w"}}
    saved.current = "a"
    saved.save()


def test_contexts_are_listed_without_secrets(two, typed):
    said = typed("context", "list")
    assert [one["name"] for one in json.loads(said.out)] == ["a", "b"]
    assert "s3cret" not in said.out


def test_one_is_chosen_for_all_or_for_one_command(two, typed):
    assert json.loads(typed("context", "show").out)["url"] == "http://a"
    assert json.loads(typed("context", "show", "--context", "b").out)["workspace"] == "w"
    assert typed("context", "use", "-n", "b").out == ""
    assert json.loads(typed("context", "show").out)["url"] == "http://b"
    assert typed("context", "delete", "-n", "b").code == 0
    assert typed("context", "use", "-n", "b").err.startswith("Error: [NotFound]")
