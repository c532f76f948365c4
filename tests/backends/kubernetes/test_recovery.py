"""A no of an API server that has just come back, and a no that is meant."""

import httpx
import pytest

from ferryml.backends.kubernetes.recovery import SETTLE_S, Recovery
from ferryml.domain.errors import Forbidden, Unavailable

RIGHTS = 'mljobs "a" is forbidden: User "system:serviceaccount:s:ferry-agent" cannot patch resource "mljobs"'


def no(message):
    return httpx.Response(403, json={"kind": "Status", "reason": "Forbidden", "message": message})


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def recovery(clock):
    return Recovery(lambda: clock[0])


def test_missing_rights_are_believed_while_all_is_well(recovery):
    with pytest.raises(Forbidden):
        recovery.check(no(RIGHTS))


def test_missing_rights_are_not_believed_right_after_a_break(recovery, clock):
    recovery.failed()
    with pytest.raises(Unavailable, match="rules back"):
        recovery.check(no(RIGHTS))
    clock[0] += SETTLE_S
    with pytest.raises(Forbidden):
        recovery.check(no(RIGHTS))


def test_quotas_and_admission_mean_it_at_any_time(recovery):
    recovery.failed()
    with pytest.raises(Forbidden):
        recovery.check(no('pods "a" is forbidden: exceeded quota: q, requested: cpu=2'))


def test_success_is_nothing(recovery):
    recovery.failed()
    recovery.check(httpx.Response(200, json={}))
