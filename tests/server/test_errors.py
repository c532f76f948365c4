"""One error shape for everything that can go wrong."""

import pytest

from ferryml.domain.errors import Defect, Refused, Unavailable
from ferryml.server import errors
from http_play import W, fault


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("PUT", "/api/v1/sites", 405, "BadRequest"),
        ("GET", f"{W}/jobs/none", 404, "NotFound"),
        ("GET", f"{W}/jobs?limit=0", 400, "BadRequest"),
        ("GET", f"{W}/jobs?after=99999999999999999999999", 400, "BadRequest"),
        ("GET", f"{W}/computes/none", 404, "ComputeNotFound"),
        ("GET", "/api/v1/workspaces/none/jobs", 404, "NotFound"),
        ("GET", f"{W}/jobs/a%00b", 400, "BadRequest"),
        ("GET", f"{W}/jobs?parent=%00", 400, "BadRequest"),
        ("GET", f"{W}/lineage", 400, "BadRequest"),
        ("GET", f"{W}/jobs/%ff%fe", 400, "BadRequest"),
    ],
)
def test_each_fault_has_its_shape(http, method, path, status, code):
    assert fault(http.as_().request(method, path)) == (status, code)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b"1" * 5000, b"[" * 100_000, b'{"a": NaN}',
     b'{"a":' * 100 + b"1" + b"}" * 100, b"null"],
)  # fmt: skip
def test_bodies_that_cannot_be_read(http, body):
    answer = http.as_().post(f"{W}/jobs", content=body, headers={"Content-Type": "application/json"})
    assert fault(answer)[0] == 400


def test_a_mismatched_offset_is_a_conflict():
    assert errors.answer(Refused("OffsetMismatch", "x"), "r").status_code == 409


def test_passing_trouble_says_when_to_come_again():
    assert errors.answer(Unavailable("Unavailable", "x"), "r").headers["Retry-After"] == "1"


def test_text_that_cannot_be_sent_is_mended():
    answer = errors.answer(Refused("BadValue", "\ud800", details={"\ud800": ["\ud800"]}), "r")
    assert b"?" in answer.body


def test_defects_tell_nothing_of_the_inside():
    assert b"Traceback" not in errors.defect("r").body
    assert errors.answer(Defect("Internal", "x"), "r").status_code == 500
