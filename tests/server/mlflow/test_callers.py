"""Roles and what they carry."""

import pytest

from ferryml.domain.errors import Forbidden
from ferryml.server.mlflow.callers import Caller, require

CARRIES = {
    "owner": {"open", "read", "write", "curate"},
    "data-scientist": {"open", "read", "write", "curate"},
    "it-operator": {"open", "read"},
    "reader": {"open", "read"},
    "scorer": set(),
}


@pytest.mark.parametrize("right", ["open", "read", "write", "curate"])
@pytest.mark.parametrize("role", sorted(CARRIES))
@pytest.mark.parametrize("job", [None, "one"])
def test_roles(role, right, job):
    caller = Caller("blue", role, job)
    if right in CARRIES[role] and not (job and right == "curate"):
        require(caller, right)
    else:
        with pytest.raises(Forbidden):
            require(caller, right)
