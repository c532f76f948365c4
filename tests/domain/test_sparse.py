"""What is left out, what never is, and how the rest is read again."""

import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ferryml.domain.link import PROTOCOL, Grant, Heartbeat, JournalEntry, OutputRecord, Report, Wish
from ferryml.domain.orders import ALWAYS, EnvironmentOrder, InputOrder, JobOrder, Residency, TreeRef, Wire
from ferryml.domain.sparse import sparse, sparse_json, unreadable, what_is_known
from ferryml.domain.statuses import EndpointStatus, JobStatus, OutputResult
from site_play import T0, a_job, a_wish

TREE = TreeRef(digest="sha256:" + "0" * 64)


def test_defaults_are_left_out_at_every_depth():
    order = a_job(inputs={"n": InputOrder(type="integer", literal="3")}, outputs={})
    assert sparse(a_wish(order)) == {
        "uid": "job.w.j", "generation": 1, "cursor": 1, "grant": "grant-1",
        "order": {
            "kind": "Job", "workspace": "w", "name": "j", "compute": "c", "command": "x",
            "environment": {"key": "e1"}, "inputs": {"n": {"type": "integer", "literal": "3"}},
        },
    }  # fmt: skip


def test_a_tombstone_is_said():
    assert sparse(a_wish(None))["order"] is None


def test_tags_stay_wherever_kinds_are_told_apart():
    entry = JournalEntry(uid="u", attempt=1, seq=1, grant="g", item=OutputRecord(name="o", tree=TREE))
    assert sparse(entry)["item"] == {"kind": "output", "name": "o", "tree": {"digest": TREE.digest}}
    report = Report(uid="job.w.j", generation=1, version=1, status=JobStatus(phase="Running"), at=T0)
    assert sparse(report)["status"] == {"kind": "Job", "phase": "Running"}


def test_a_default_that_differs_from_version_to_version_is_said():
    assert sparse(Heartbeat(version="1", at=T0))["protocol"] == PROTOCOL

    class Aged(Wire):
        age: Annotated[int, ALWAYS] = 3
        many: Literal["a", "b"] = "a"

    assert sparse(Aged()) == {"age": 3}


def test_less_than_the_default_is_said():
    bound = Residency(zones=("onprem",), release=())
    assert sparse(a_job(residency=bound))["residency"] == {"zones": ["onprem"], "release": []}
    assert sparse(a_job(shm_size=""))["shm_size"] == ""
    assert sparse(a_job(timeout_s=0))["timeout_s"] == 0


@pytest.mark.parametrize(
    "said",
    [
        a_wish(a_job(cancel=True, labels={"a": "b"})), a_wish(None),
        Report(
            uid="job.w.j", generation=2, version=3, at=T0,
            status=JobStatus(phase="Completed", outputs={"o": OutputResult(tree=TREE), "p": OutputResult()}),
        ),
        Report(uid="endpoint.w.e", generation=2, version=3, at=T0, status=EndpointStatus(state="Succeeded")),
        Grant(iss="s", site="a", uid="job.w.j", generation=1, workspace="w", kind="Job", name="j", reads=("x",)),
    ],
    ids=lambda said: type(said).__name__,
)  # fmt: skip
def test_what_was_left_out_comes_back(said):
    assert type(said).model_validate(sparse(said)) == said
    assert json.loads(sparse_json(said)) == sparse(said)


@given(
    st.builds(
        JobOrder, workspace=st.text(), name=st.text(), compute=st.text(), command=st.text(), cancel=st.booleans(),
        environment=st.builds(EnvironmentOrder, key=st.text(), pip=st.lists(st.text()).map(tuple)),
        timeout_s=st.none() | st.integers(0, 9), labels=st.dictionaries(st.text(), st.text()),
        max_attempts=st.integers(0, 5), environment_variables=st.dictionaries(st.text(), st.text()),
    )
)  # fmt: skip
def test_every_order_comes_back(order):
    wish = a_wish(order)
    again = Wish.model_validate_json(sparse_json(wish))
    assert again == wish
    assert again.model_dump_json() == wish.model_dump_json()


def test_what_is_not_known_is_passed_over_where_it_only_tells():
    body = {**sparse(Heartbeat(version="1", at=T0)), "mood": "good"}
    assert what_is_known(Heartbeat, body) == Heartbeat(version="1", at=T0)
    with pytest.raises(ValidationError):
        what_is_known(Heartbeat, {"mood": "good"})


def test_what_cannot_be_read_is_named_without_its_value():
    body = {**sparse(a_wish(a_job())), "secret": "hunter2"}
    body["order"] |= {"priority": "hunter2", "timeout_s": "hunter2", "one": 1, "two": 2}
    with pytest.raises(ValidationError) as caught:
        Wish.model_validate(body)
    words = unreadable(caught.value)
    assert words.startswith("order.Job.timeout_s: Input should be a valid integer")
    assert "order.Job.priority" in words
    assert words.endswith(" and 2 more")
    assert "hunter2" not in words
