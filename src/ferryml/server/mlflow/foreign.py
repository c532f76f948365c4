"""Translates MLflow's errors into Ferry's, once, where its stores are called in process."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from ferryml.domain.errors import Conflict, Defect, FerryError, NotFound, Refused, Unavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raises NotFound, Conflict, Refused, Unavailable or Defect for an MlflowException inside."""
    try:
        yield
    except MlflowException as error:
        raise _ours(error) from error


def _ours(error: MlflowException) -> FerryError:
    if isinstance(error.__cause__, FerryError):
        return error.__cause__  # MLflow's sessions wrap whatever leaves them
    said = str(error.message).split("\n", 1)[0][:500]
    match error.error_code:
        case "RESOURCE_DOES_NOT_EXIST":
            return NotFound("NotFound", f"MLflow: {said}")
        case "RESOURCE_ALREADY_EXISTS":
            return Conflict("AlreadyExists", f"MLflow: {said}")
        case "INVALID_PARAMETER_VALUE" | "INVALID_STATE":
            return Refused("BadValue", f"MLflow: {said}")
        case "TEMPORARILY_UNAVAILABLE":
            return Unavailable("Unavailable", "MLflow's database does not answer.", "Try again in a moment.")
        case code:
            # The text may hold SQL with values, so it stays in the chained exception.
            return Defect("Internal", f"MLflow failed with {code}.")
