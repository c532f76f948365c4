"""YAML with places, and hostile YAML."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryml.domain.errors import Refused
from ferryml.domain.parse import Place
from ferryml.sdk.documents import MAX_BYTES, absolute, is_local, parse_documents, read_document, read_documents

FILE = Path("/folder/x.yml")


def parse(text):
    return parse_documents(text, FILE, "x.yml")


def data(text):
    (document,) = parse(text)
    return document.data


def test_plain_values_with_places():
    (document,) = parse("a: 1\nb:\n  - c: text\n")
    assert document.data == {"a": 1, "b": [{"c": "text"}]}
    assert document.place("b", 0, "c") == Place("x.yml", 3, 5)
    assert document.place("b", 0, "absent") == Place("x.yml", 3, 5)
    assert document.place() == Place("x.yml", 1, 1)
    assert document.folder == Path("/folder")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 017", 17),
        ("a: 0x1f", 31),
        ("a: 0o17", 15),
        ("a: 1_000", 1000),
        ("a: 1e3", 1000.0),
        ("a: 1.10", 1.1),
        ("a: ~", None),
        ("a:", None),
        ("a: true", True),
        ("a: True", True),
        ("a: yes", "yes"),
        ("a: 2024-01-31", "2024-01-31"),
        ("a: .nan", ".nan"),
        ("a: '1'", "1"),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: >-\n  x\n  y\n", "x y"),
    ],
)
def test_scalars(text, value):
    got = data(text)["a"]
    assert got == value
    assert isinstance(got, type(value))


def test_text_mappings_stay_as_written():
    got = data("environment_variables: {A: true, B: 0.10, C: 2024-01-31, D: }\nother: {A: true}")
    assert got == {
        "environment_variables": {"A": "true", "B": "0.10", "C": "2024-01-31", "D": None},
        "other": {"A": True},
    }


def test_anchors_and_merges():
    got = data("base: &b {x: 1, y: 2}\nall: [*b, *b]\nown: {<<: *b, y: 3}\nmany: {<<: [*b, {z: 4, x: 9}]}")
    assert got["all"] == [{"x": 1, "y": 2}] * 2
    assert got["own"] == {"x": 1, "y": 3}
    assert got["many"] == {"x": 1, "y": 2, "z": 4}


def test_several_documents():
    assert [one.data for one in parse("a: 1\n---\n---\nb: 2\n")] == [{"a": 1}, {"b": 2}]
    assert data("%YAML 1.2\n---\na: 1\n") == {"a": 1}


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "x.yml:2: the key 'a' is here twice"),
        ("b:\n  a: 1\n  a: 2", "x.yml:3: the key 'a' is here twice in b"),
        ("a: [1", "x.yml:1: "),
        ("a: 1\n b: 2", "x.yml:2: mapping values are not allowed here"),
        ("a:\n\t- b", "x.yml:2: "),
        ("a: 'x", "x.yml:1: "),
        ("a: *nobody", "undefined alias"),
        ("a: &a [*a]", "too large or too deep"),
        (BOMB, "too large or too deep"),
        ("[" * 5000, "x.yml: "),
        ("a: " + "[" * 80 + "]" * 80, "too large or too deep"),
        ("a: !!python/object/apply:os.system [x]", "not understood"),
        ("a: !custom x", "the tag !"),
        ("? [1]\n: 2", "a key must be a plain word"),
        ("a: {<<: 1}", "<< takes a mapping"),
        ("a: \x00", "x.yml: "),
    ],
)
def test_refuses_with_the_line(text, words):
    with pytest.raises(Refused) as refused:
        parse(text)
    assert refused.value.code == "BadYaml"
    assert words in refused.value.message


def test_reads_files(tmp_path):
    file = tmp_path / "x.yml"
    file.write_text("\ufeffa: ü\n", encoding="utf-8")
    assert read_document(file).data == {"a": "ü"}
    assert read_document(file).path == file


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "FileNotFound"),
        (b"", "BadYaml"),
        (b"a: 1\n---\nb: 2", "BadYaml"),
        (b"a: \xff", "BadEncoding"),
        (b"a: " + b"x" * MAX_BYTES, "FileTooLarge"),
    ],
)
def test_refuses_files(tmp_path, content, code):
    file = tmp_path / "x.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read_document(file)
    assert refused.value.code == code
    assert "x.yml" in refused.value.message


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(Refused, match="is a folder"):
        read_documents(tmp_path)


def test_paths():
    assert absolute(Path("/a/b"), "../c") == Path("/a/c")
    assert absolute(Path("/a"), "/x") == Path("/x")
    assert is_local("./x")
    assert not is_local("azureml:x:1")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="a:[]{}&*-?|>!%@`'\"#, \n\t0.~<", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        outcome = [type(one.data) for one in parse(text)]
    except Refused as refused:
        outcome = [refused.code]
    assert type(None) not in outcome
    assert not {"Internal", "NotFound"} & set(map(str, outcome))
