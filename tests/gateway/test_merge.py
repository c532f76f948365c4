"""Many calls become one where that changes nothing for the run."""

from __future__ import annotations

import base64
import json
from typing import Any

from ferryml.domain.link import JournalEntry, LogChunk, MlflowCall
from ferryml.gateway.journal import Pending
from ferryml.gateway.merge import MOST, grouped

RUN = "a" * 32


def call(seq: int, route: str, run: str = RUN, alone: bool = False, provisional: str = "", **body: Any) -> Pending:
    data = base64.b64encode(json.dumps({"run_id": run, **body}).encode()).decode()
    item = MlflowCall(method="POST", path=f"api/2.0/mlflow/{route}", body=data, provisional=provisional)
    return Pending(JournalEntry(uid="job.w.j", attempt=1, seq=seq, grant="g", item=item), "w", (), alone)


def metric(seq: int, step: int = 0, **more: Any) -> Pending:
    return call(seq, "runs/log-metric", key="a", value=1.5, timestamp=7, step=step, **more)


def said(entries: list[Pending]) -> list[tuple[int, str, Any]]:
    """(seq, route, body) of what is sent."""
    found = []
    for group in grouped(entries):
        item = group.sent.entry.item
        assert isinstance(item, MlflowCall)
        route = item.path.partition("/mlflow/")[2]
        found.append((group.sent.entry.seq, route, json.loads(base64.b64decode(item.body))))
    return found


def test_a_loop_of_metrics_is_one_batch_under_the_last_seq() -> None:
    points = [{"key": "a", "value": 1.5, "timestamp": 7, "step": step} for step in range(3)]
    assert said([metric(step + 1, step) for step in range(3)]) == [
        (3, "runs/log-batch", {"run_id": RUN, "metrics": points})
    ]


def test_params_tags_and_batches_join() -> None:
    entries = [
        metric(1),
        call(2, "runs/log-parameter", key="lr", value="0.1"),
        call(3, "runs/log-batch", tags=[{"key": "t", "value": "1"}], params=[{"key": "x", "value": "y"}]),
        call(4, "runs/log-batch", tags=[{"key": "t", "value": "2"}]),
    ]
    [(seq, _, body)] = said(entries)
    assert seq == 4
    assert body["params"] == [{"key": "lr", "value": "0.1"}, {"key": "x", "value": "y"}]
    assert body["tags"] == [{"key": "t", "value": "2"}], "the last word counts"


def test_a_single_call_goes_as_it_is() -> None:
    assert said([metric(1)])[0][1] == "runs/log-metric"


def test_other_calls_other_runs_and_logs_stand_between() -> None:
    log = Pending(
        JournalEntry(uid="job.w.j", attempt=1, seq=3, grant="g", item=LogChunk(path="a", offset=0, data="")), "w", ()
    )
    entries = [metric(1), metric(2), log, metric(4), call(5, "runs/delete-tag", key="t"), metric(6, run="b" * 32)]
    assert [[part.entry.seq for part in group.parts] for group in grouped(entries)] == [[1, 2], [3], [4], [5], [6]]


def test_what_must_go_by_itself() -> None:
    entries = [
        metric(1, alone=True),
        metric(2, alone=True),
        metric(3, model_id="m-1"),
        metric(4, dataset_name="d"),
        call(5, "runs/create", provisional="p"),
        call(6, "runs/log-parameter", key="p", value="1"),
        call(7, "runs/log-parameter", key="p", value="2"),
    ]
    assert [group.sent.entry.seq for group in grouped(entries)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_batch_stays_below_mlflows_limits() -> None:
    entries = [metric(number) for number in range(1, MOST["metrics"] + 3)]
    assert [len(group.parts) for group in grouped(entries)] == [MOST["metrics"], 2]


def test_nonsense_is_left_alone() -> None:
    item = MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-metric", body="bm90IGpzb24=")
    entry = JournalEntry(uid="job.w.j", attempt=1, seq=1, grant="g", item=item)
    pending = Pending(entry, "w", ())
    assert grouped([pending])[0].sent is pending
