"""What bound data does to what is made from it."""

import base64
import json

import pytest

from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.link import JournalEntry, LogChunk, MlflowCall, OutputRecord
from ferryml.domain.orders import Residency, TreeRef
from ferryml.domain.residency import (
    ALL,
    Binding,
    check_entry,
    inherited,
    may_be_in,
    may_leave,
    mlflow_matters,
    of_output,
    released,
)
from ferryml.domain.spec.data import Release

BOUND = Residency(zones=("onprem",), release=("metrics",))
TREE = TreeRef(digest="sha256:" + "a" * 64)


def entry(item) -> JournalEntry:
    return JournalEntry(uid="job.w.j", attempt=1, seq=1, grant="g", item=item)


def call(path: str, **body) -> MlflowCall:
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return MlflowCall(method="POST", path=f"api/2.0/mlflow/{path}", body=text)


def test_free_inputs_bind_nothing():
    assert inherited([Binding("a"), Binding("b", release=())]) == Residency(zones=(), release=ALL)


def test_zones_and_releases_are_shared_ones():
    both = inherited([Binding("a", ("x", "y"), ("models", "logs")), Binding("b", ("y", "z"), ("models", "metrics"))])
    assert both == Residency(zones=("y",), release=("models",))


def test_a_free_input_takes_nothing_away():
    assert inherited([Binding("free"), Binding("a", ("x",), ("models",))]).release == ("models",)


def test_inputs_without_a_common_zone_are_refused_by_name():
    with pytest.raises(Refused) as caught:
        inherited([Binding("data:a:1", ("x",)), Binding("data:b:1", ("y",))])
    assert caught.value.code == "ResidencyViolation"
    assert "data:a:1" in caught.value.message
    assert "data:b:1" in caught.value.message


def test_release_of_the_data_owner():
    assert released(Release()) == ()
    assert released(Release(models="allow", logs="allow")) == ("models", "logs")


def test_where_and_what():
    assert may_be_in(BOUND, "onprem")
    assert not may_be_in(BOUND, "cloud")
    assert may_be_in(Residency(), "cloud")
    assert may_leave(BOUND, "metrics")
    assert not may_leave(BOUND, "logs")
    assert of_output(BOUND, "mlflow_model") == BOUND
    assert of_output(Residency(zones=("x",), release=("models",)), "mlflow_model") == Residency()


@pytest.mark.parametrize(
    "item",
    [
        LogChunk(path="user_logs/std_log.txt", offset=0, data=""),
        OutputRecord(name="model", tree=TREE),
        OutputRecord(name="default", tree=TREE),
        call("runs/log-parameter", key="a", value="b"),
        call("runs/log-batch", metrics=[{}], params=[{}]),
        MlflowCall(method="PUT", path="api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/x"),
        call("something/new"),
        MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-batch", blob=TREE.digest),
    ],
)
def test_what_is_not_released_does_not_pass(item):
    with pytest.raises(Forbidden) as caught:
        check_entry(BOUND, entry(item), {"model": "mlflow_model"})
    assert caught.value.code == "ResidencyViolation"
    check_entry(Residency(), entry(item), {})


@pytest.mark.parametrize(
    "item",
    [
        call("runs/log-metric", key="a", value=1),
        call("runs/log-batch", metrics=[{}]),
        call("runs/update", status="FINISHED"),
        OutputRecord(name="model", tree=TREE, bound=True),
    ],
)
def test_what_is_released_or_stays_passes(item):
    check_entry(BOUND, entry(item), {"model": "mlflow_model"})


def test_mlflow_models_are_models():
    path = "api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/MLmodel"
    assert mlflow_matters(MlflowCall(method="PUT", path=path)) == {"models"}
    assert mlflow_matters(call("logged-models/m-1/params")) == {"models"}
