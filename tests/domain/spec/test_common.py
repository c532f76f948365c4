"""What holds for every spec."""

import json

import pytest
from pydantic import ValidationError

from ferryml.domain import spec as language
from ferryml.domain.spec import Code, Environment, OnlineEndpoint, Spec
from ferryml.domain.spec.common import Reading, problem, warn


def every_spec(of=Spec):
    for one in of.__subclasses__():
        yield one
        yield from every_spec(one)


def test_every_field_says_what_it_is():
    silent = [
        f"{one.__name__}.{name}" for one in every_spec() for name, f in one.model_fields.items() if not f.description
    ]
    assert silent == []


def test_specs_are_frozen_and_strict():
    code = Code(path="x")
    with pytest.raises(ValidationError):
        code.path = "y"
    with pytest.raises(ValidationError):
        Code.model_validate({"path": "x", "pth": "y"})


def test_read_only_keys_are_dropped_but_real_fields_are_not():
    assert Code.model_validate({"path": "x", "id": 1, "status": 2}) == Code(path="x")
    assert OnlineEndpoint.model_validate({"name": "abc", "scoring_uri": "x", "kind": "K8S"}).name == "abc"


def test_problems_keep_braces():
    assert str(problem("BadValue", "{x} %s ${{y}}")) == "{x} %s ${{y}}"


def test_warnings_are_noted_once_and_only_where_wanted():
    class Info:
        context = Reading()

    warn(Info, "a")
    warn(Info, "a")
    assert Info.context.warnings == ["a"]
    Info.context = None
    warn(Info, "b")


def test_specs_survive_json():
    made = Environment(image="x", conda_file={"dependencies": ["a", {"pip": ["b"]}]}, pip_requirements=("c",))
    assert Environment.model_validate(json.loads(made.model_dump_json())) == made


def test_public_names_are_sorted_and_real():
    assert language.__all__ == sorted(language.__all__)
    assert all(hasattr(language, name) for name in language.__all__)
