from typing import Any, Literal

from pydantic import BaseModel, Field

from ferryml.compile.kubernetes.structural import structural


class Inner(BaseModel):
    """What lies inside."""

    word: Literal["a", "b"] = "a"


class Outer(BaseModel):
    text: str = Field(min_length=1, pattern="^x")
    some: int | None = None
    more: float = Field(0, gt=0, le=5)
    inner: Inner = Inner()
    list_of: tuple[Inner, ...] = ()
    names: dict[str, str] = {}
    free: dict[str, Any] = {}
    anything: Any = None
    either: int | str = 1
    choice: Inner | str = ""
    renamed: str = Field("", alias="reNamed")


SCHEMA = structural(Outer)["properties"]
FREE = {"x-kubernetes-preserve-unknown-fields": True}


def test_no_reference_default_or_title_is_left():
    text = str(structural(Outer))
    assert not any(word in text for word in ("$ref", "$defs", "default", "title", "additionalProperties': False"))


def test_only_what_has_no_default_is_required():
    assert structural(Outer)["required"] == ["text"]


def test_types_keep_their_bounds():
    assert SCHEMA["text"] == {"type": "string", "minLength": 1, "pattern": "^x"}
    assert SCHEMA["more"] == {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 5}
    assert SCHEMA["inner"]["properties"]["word"] == {"type": "string", "enum": ["a", "b"]}
    assert SCHEMA["list_of"]["items"] == SCHEMA["inner"]
    assert SCHEMA["names"] == {"type": "object", "additionalProperties": {"type": "string"}}


def test_null_is_said_apart():
    assert SCHEMA["some"] == {"type": "integer", "format": "int64", "nullable": True}


def test_free_json_stays_free():
    assert SCHEMA["free"] == {"type": "object", **FREE}
    assert (SCHEMA["anything"], SCHEMA["choice"]) == (FREE, FREE)
    assert SCHEMA["either"]["x-kubernetes-int-or-string"] is True


def test_names_are_those_of_documents():
    assert "reNamed" in SCHEMA
