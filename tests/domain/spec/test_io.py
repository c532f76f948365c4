"""Inputs and outputs in all their forms."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import CommandJob, Input, Output
from ferryml.domain.spec.values import WrittenFloat


def job(**more):
    return parse(CommandJob, {"command": "x", "environment": "azureml:e:1", **more}).spec


def test_bare_values_keep_their_type():
    given = {"a": 1, "b": 0.5, "c": True, "d": "text", "e": "1", "f": WrittenFloat("1.10")}
    inputs = job(inputs=given).inputs
    assert inputs == given
    assert [type(value) for value in inputs.values()] == [int, float, bool, str, str, float]


def test_a_bare_reference_is_an_asset():
    inputs = job(inputs={"a": "azureml:digits:1", "b": "ferry:digits@latest", "c": "plain"}).inputs
    assert inputs["a"] == Input(path="azureml:digits:1")
    assert inputs["b"] == Input(path="ferry:digits@latest")
    assert inputs["c"] == "plain"


def test_nothing_is_an_absent_input():
    assert job(inputs={"a": None}).inputs["a"] == Input(optional=True)


@pytest.mark.parametrize("given", [None, {}, {"type": "uri_folder"}])
def test_nothing_is_an_output_in_the_default_place(given):
    assert job(outputs={"o": given}).outputs["o"] == Output()


def test_an_output_may_be_a_path_and_an_asset():
    made = job(outputs={"o": "azureml://datastores/d/paths/p", "n": {"name": "model", "version": 3}}).outputs
    assert made["o"].path == "azureml://datastores/d/paths/p"
    assert (made["n"].name, made["n"].version) == ("model", "3")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"type": "number", "path": "x"}, "no path or mode"),
        ({"type": "uri_file", "default": 1}, "no default"),
        ({"type": "integer", "default": 1.5}, "not a integer"),
        ({"type": "integer", "default": True}, "not a integer"),
        ({"type": "number", "default": "x"}, "not a number"),
        ({"type": "boolean", "default": 3}, "not a boolean"),
        ({"type": "number", "default": 3, "max": 2}, "outside None to 2"),
        ({"type": "string", "default": "c", "enum": ["a", "b"]}, "not one of a, b"),
        ({"type": "uri_files", "path": "x"}, "inputs.i.type"),
        ({"mode": "rw_mount", "path": "x"}, "inputs.i.mode"),
        (float("nan"), "write nan and inf in quotes"),
        ([1], "give a number"),
    ],
)
def test_refuses_inputs(data, words):
    with pytest.raises(Refused, match=words):
        job(inputs={"i": data})


def test_literals_may_have_rules():
    made = job(inputs={"i": {"type": "Integer", "default": 3, "min": 1, "max": 3, "optional": "True"}}).inputs["i"]
    assert made == Input(type="integer", default=3, min=1, max=3, optional=True)
    assert made.is_literal
    assert job(inputs={"i": {"type": "string", "value": "x"}}).inputs["i"].default == "x"
    assert not Input(path="azureml:d:1").is_literal


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"path": "./local"}, "is local"),
        ({"version": 1}, "needs its name"),
        ({"mode": "download"}, "outputs.o.mode"),
        ({"path": "azureml://datastores/d/paths/../x"}, "leaves the place"),
    ],
)
def test_refuses_outputs(data, words):
    with pytest.raises(Refused, match=words):
        job(outputs={"o": data})


@pytest.mark.parametrize("name", ["a-b", "1a", "a b", "a.b"])
def test_names_of_inputs_are_words(name):
    with pytest.raises(Refused) as refused:
        job(inputs={name: 1})
    assert refused.value.code == "BadName"
