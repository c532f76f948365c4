"""A uid must lead back to exactly one workspace and name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.errors import Refused
from ferryml.domain.uids import split_uid, uid_of

WORDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)


@given(WORDS, WORDS)
def test_there_and_back(workspace, name):
    assert split_uid(uid_of("job", workspace, name)) == ("job", workspace, name)


def test_dots_do_not_collide():
    assert uid_of("job", "a.b", "c") != uid_of("job", "a", "b.c")
    assert uid_of("job", "team", "calm_fox") == "job.team.calm_fox"


@pytest.mark.parametrize("uid", ["", "job", "job.", "job.a", "job..x", "job.a."])
def test_what_is_no_uid_is_refused(uid):
    with pytest.raises(Refused):
        split_uid(uid)


def test_kinds_without_workspace():
    assert split_uid("feedback.x1") == ("feedback", "", "x1")
