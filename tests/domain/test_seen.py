"""The few things that facts know about themselves."""

import pytest

from ferryml.domain.orders import EnvironmentOrder, JobOrder
from ferryml.domain.seen import JobSeen, Launch, StoredStatus

ORDER = JobOrder(workspace="w", name="j", compute="c", command="x", environment=EnvironmentOrder(key="e"))


@pytest.mark.parametrize(("attempt", "prefix"), [(1, ""), (2, "retry-001/"), (3, "retry-002/"), (12, "retry-011/")])
def test_logs_of_retries_have_folders_of_their_own(attempt: int, prefix: str) -> None:
    launch = Launch(uid="u", attempt=attempt, order=ORDER, gateway_url="http://g", token="s3cret", env_key="e")
    assert launch.log_prefix == prefix
    assert "s3cret" not in repr(launch)


@pytest.mark.parametrize(
    ("state", "live"), [("absent", False), ("staging", True), ("running", True), ("exited", False), ("lost", False)]
)
def test_what_may_have_processes_is_live(state: str, live: bool) -> None:
    assert JobSeen.model_validate({"state": state}).live is live


def test_news_are_unsent_until_acknowledged() -> None:
    stored = StoredStatus(uid="u", generation=1)
    assert not stored.unsent
    assert stored.model_copy(update={"version": 2, "acknowledged": 1}).unsent
    assert not stored.model_copy(update={"version": 2, "acknowledged": 2}).unsent
