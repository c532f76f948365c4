"""MLflow's errors in Ferry's words."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from ferryml.domain.errors import Conflict, Defect, NotFound, Refused, Unavailable
from ferryml.server.mlflow.foreign import translated


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (codes.RESOURCE_DOES_NOT_EXIST, NotFound),
        (codes.RESOURCE_ALREADY_EXISTS, Conflict),
        (codes.INVALID_PARAMETER_VALUE, Refused),
        (codes.TEMPORARILY_UNAVAILABLE, Unavailable),
        (codes.INTERNAL_ERROR, Defect),
        (codes.BAD_REQUEST, Defect),
    ],
)
def test_each_code_has_its_branch(code, ours):
    with pytest.raises(ours) as refusal, translated():
        raise MlflowException("said [SQL: SELECT 'pw']\nmore", error_code=code)
    assert type(refusal.value) is ours
    assert isinstance(refusal.value.__cause__, MlflowException)
    assert "more" not in refusal.value.message
    if ours in (Defect, Unavailable):
        assert "SQL" not in refusal.value.message


def test_our_own_errors_come_out_of_mlflows_wrapping():
    with pytest.raises(Conflict) as refusal, translated():
        raise MlflowException("wrapped", error_code=codes.INTERNAL_ERROR) from Conflict("AlreadyExists", "mine")
    assert refusal.value.message == "mine"
