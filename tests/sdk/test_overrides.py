"""--set and params_override."""

from pathlib import Path

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.spec.values import written
from ferryml.sdk.documents import parse_documents
from ferryml.sdk.overrides import override, parse_path, set_value, value_of

(DOCUMENT,) = parse_documents("a: {b: [1, 2]}\nenvironment: file:./env.yml\n", Path("/x.yml"))


@pytest.mark.parametrize(
    ("change", "at", "value"),
    [
        ("a.b[1]=7", ("a", "b"), [1, 7]),
        ("a.b[2]=new", ("a", "b"), [1, 2, "new"]),
        ("a.c.d=x", ("a", "c"), {"d": "x"}),
        ("n[0].m=1", ("n",), [{"m": 1}]),
        ("a={}", ("a",), {}),
        ('tags["x.y"]=1', ("tags",), {"x.y": 1}),
        ("compute=azureml:x", ("compute",), "azureml:x"),
        ("command=a=b", ("command",), "a=b"),
        ("environment=azureml:e:1", ("environment",), "azureml:e:1"),
        ({"a.b": [3]}, ("a", "b"), [3]),
        ({"name": "n"}, ("name",), "n"),
        ("empty=", ("empty",), ""),
        ("none=null", ("none",), None),
    ],
)
def test_sets(change, at, value):
    got = override(DOCUMENT, [change]).data
    for key in at:
        got = got[key]
    assert got == value


def test_the_original_is_untouched():
    override(DOCUMENT, ["a.b[0]=9"])
    assert DOCUMENT.data["a"]["b"] == [1, 2]


def test_later_ones_win():
    assert override(DOCUMENT, ["x=1", {"x": 2}]).data["x"] == 2


def test_places_say_where_a_value_came_from():
    changed = set_value(DOCUMENT, "a.b", 5)
    assert str(changed.place("a", "b")) == "--set a.b"
    assert str(changed.place("a", "b", 0)) == "--set a.b"
    assert changed.place("environment").line == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a.b", "has no '='"),
        ("=x", "is not a path"),
        ("a..b=1", "is not a path"),
        ("a.=1", "is not a path"),
        ("a[x]=1", "is not a path"),
        ("environment.image=x", "inside the reference 'file:./env.yml'"),
        ("a.b.c=1", "no key 'c' in a list"),
        ("a.b[5]=1", "no item 5 in a list"),
        ("a[0]=1", "no item 0 in a mapping"),
        ("a.b[0].c=1", "no key 'c' in 1"),
    ],
)
def test_refuses(change, words):
    with pytest.raises(Refused) as refused:
        override(DOCUMENT, [change])
    assert refused.value.code == "BadValue"
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("true", True), ("True", "True"), ('"1"', "1"), ("[1]", [1]), ("x", "x"), ("NaN", "NaN"), ("", "")],
)
def test_values(text, value):
    assert value_of(text) == value


def test_floats_keep_their_zeros():
    assert written(value_of("1.10")) == "1.10"


def test_paths():
    assert parse_path('a.b[0]["c.d"].e') == ("a", "b", 0, "c.d", "e")
