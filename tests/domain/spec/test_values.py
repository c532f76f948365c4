"""Forgiving about spelling, exact about meaning."""

from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from ferryml.domain.spec.common import Reading
from ferryml.domain.spec.values import (
    AssetText,
    ComputeName,
    Duration,
    Flag,
    Fold,
    PathOrUri,
    Text,
    TextMap,
    Version,
    WrittenFloat,
    folded,
    is_uri,
    seconds,
    strip_file,
)


def read(kind, value, **context):
    return TypeAdapter(kind).validate_python(value, context=Reading(**context))


@pytest.mark.parametrize(
    ("written", "value"),
    [(90, 90), ("90", 90), ("2m", 120), ("24h", 86400), ("15 m", 900), ("1.5h", 5400), ("500ms", 0.5), ("PT15M", 900),
     ("P1DT2H", 93600), ("pt0.5s", 0.5), ("1w", 604800), (0, 0)],
)  # fmt: skip
def test_durations(written, value):
    assert read(Duration, written) == value


@pytest.mark.parametrize("written", ["soon", "", "5 parsecs", "-3s", -1, "P", "PT", "1h30m"])
def test_bad_durations(written):
    with pytest.raises(ValidationError):
        read(Duration, written)


def test_seconds_leaves_other_types():
    assert seconds(None) is None


Mode = Annotated[Literal["key", "aml_token", "vs_code"], Fold()]


@pytest.mark.parametrize(
    ("written", "value"),
    [("Key", "key"), ("KEY", "key"), ("AmlToken", "aml_token"), ("AML_TOKEN", "aml_token"), ("aml-token", "aml_token")],
)
def test_words_in_any_case(written, value):
    assert read(Mode, written) == value


def test_other_words_stay_errors():
    for wrong in ("keys", 1, None, ["key"]):
        with pytest.raises(ValidationError):
            read(Mode, wrong)


def test_folded():
    assert folded("SystemAssigned") == folded("system_assigned") == folded(" system-assigned ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (1, "1"),
        (True, "True"),
        (0.5, "0.5"),
        (WrittenFloat("1.10"), "1.10"),
        (WrittenFloat("1e-3"), "1e-3"),
    ],
)
def test_numbers_become_text(value, text):
    assert read(Text, value) == text
    assert read(Version, 3) == "3"


def test_lists_do_not_become_text():
    with pytest.raises(ValidationError):
        read(Text, [1])


def test_written_floats_are_floats():
    assert WrittenFloat("1_000.5") == 1000.5


@pytest.mark.parametrize("word", [True, "True", "true", "yes", "1", "on", " TRUE "])
def test_flags(word):
    assert read(Flag, word) is True
    assert read(Flag, "False") is False


@pytest.mark.parametrize(
    ("text", "remote"),
    [("https://x", True), ("azureml:a:1", True), ("runs:/x", True), ("git@h:p", True), ("${{inputs.x}}", True),
     ("./x", False), ("x", False), ("file:x", False), ("c:/x", False), ("content:tree:x", True)],
)  # fmt: skip
def test_is_uri(text, remote):
    assert is_uri(text) is remote


def test_file_prefixes():
    assert [strip_file(t) for t in ("file:./x", "file:///x", "./x")] == ["./x", "/x", "./x"]


def test_paths_are_located_only_when_local():
    def locate(path):
        return f"<{path}>"

    assert read(PathOrUri, "file:./x", locate=locate) == "<./x>"
    assert read(PathOrUri, "azureml:d:1", locate=locate) == "azureml:d:1"
    for wrong in ("", "  ", "a\0b", "azureml://datastores/d/paths/../x"):
        with pytest.raises(ValidationError):
            read(PathOrUri, wrong, locate=locate)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("azureml:onprem", "onprem"),
        ("ferry:onprem", "onprem"),
        ("onprem", "onprem"),
        ("azureml:/subscriptions/s/workspaces/w/computes/onprem", "onprem"),
        ("${{parent.inputs.c}}", "${{parent.inputs.c}}"),
    ],
)
def test_computes(written, name):
    assert read(ComputeName, written) == name


def test_asset_text():
    assert read(AssetText, "azureml:a@latest") == "azureml:a@latest"
    for wrong in ("a", "runs:/x", "https://x", "azureml://datastores/d/paths/p"):
        with pytest.raises(ValidationError):
            read(AssetText, wrong)


def test_empty_mappings():
    assert read(TextMap, None) == {}
