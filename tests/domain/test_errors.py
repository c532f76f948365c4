"""One error shape, three branches by who can mend it."""

import pytest

from ferryml.domain import errors


def test_the_wire_shape():
    error = errors.NotFound("NotFound", "no job train", hint="see ferry job list", details={"name": "train"})
    said = {"code": "NotFound", "message": "no job train", "hint": "see ferry job list", "details": {"name": "train"}}
    assert error.as_dict() == said
    assert str(error) == "no job train"


def test_details_are_a_copy():
    details = {"n": 1}
    error = errors.Refused("BadValue", "no", details=details)
    details["n"] = 2
    assert error.details == {"n": 1}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.Refused, 400),
        (errors.Unauthenticated, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.TooLarge, 413),
        (errors.Unavailable, 503),
        (errors.Defect, 500),
    ],
)
def test_the_status_of_each_branch(kind, status):
    assert kind("Internal", "x").status == status
    assert issubclass(kind, errors.FerryError)


def test_what_a_caller_can_mend_is_refused():
    for kind in (errors.Unauthenticated, errors.Forbidden, errors.NotFound, errors.Conflict, errors.TooLarge):
        assert issubclass(kind, errors.Refused)
    assert not issubclass(errors.Unavailable, errors.Refused)
