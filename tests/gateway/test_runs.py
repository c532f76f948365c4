"""The local view of MLflow runs follows MLflow's own rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.gateway.database import Database
from ferryml.gateway.runs import Runs

UID, RUN = "job.w.j", "a" * 32


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    made = Runs(Database(tmp_path / "g.db"))
    base = {
        "info": {"run_id": RUN, "status": "RUNNING"},
        "data": {
            "metrics": [{"key": "old", "value": 1, "timestamp": 1, "step": 5}],
            "params": [{"key": "p", "value": "1"}],
            "tags": [{"key": "t", "value": "1"}],
        },
    }
    made.add(UID, RUN, base)
    return made


def metric(step: int, value: float, timestamp: int = 1, key: str = "old") -> dict[str, object]:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


@pytest.mark.parametrize(
    ("points", "last"),
    [
        ([metric(4, 9)], 1),
        ([metric(6, 9)], 9),
        ([metric(5, 9, timestamp=2)], 9),
        ([metric(5, 0.5)], 1),
        ([metric(6, 2), metric(6, 3)], 3),
    ],
)
def test_the_last_metric_is_by_step_time_value(runs: Runs, points: list[dict[str, object]], last: float) -> None:
    for point in points:
        runs.note(UID, RUN, "runs/log-metric", point)
    view = runs.view(UID, RUN)
    assert view is not None
    assert view["data"]["metrics"][0]["value"] == last


def test_base_and_writes_are_one(runs: Runs) -> None:
    runs.note(UID, RUN, "runs/set-tag", {"key": "t", "value": "2"})
    runs.note(UID, RUN, "runs/log-parameter", {"key": "q", "value": "x"})
    view = runs.view(UID, RUN)
    assert view is not None
    assert view["data"]["tags"] == [{"key": "t", "value": "2"}]
    assert view["data"]["params"] == [{"key": "p", "value": "1"}, {"key": "q", "value": "x"}]
    assert (runs.param(UID, RUN, "p"), runs.param(UID, RUN, "q"), runs.param(UID, RUN, "r")) == ("1", "x", None)


def test_not_a_number_is_a_value(runs: Runs) -> None:
    runs.note(UID, RUN, "runs/log-metric", {"key": "n", "value": "NaN", "timestamp": 1, "step": 0})
    assert runs.history(UID, RUN, "n")[0]["value"] == "NaN"
    assert runs.view(UID, RUN) is not None


def test_runs_belong_to_one_job(runs: Runs) -> None:
    assert runs.known(UID, RUN) == RUN
    assert runs.known("job.w.other", RUN) is None
    assert runs.known(UID, "") is None
    assert runs.view(UID, "b" * 32) is None


def test_a_made_run_is_known_under_both_ids(runs: Runs) -> None:
    provisional, real = "c" * 32, "d" * 32
    runs.add(UID, provisional, {"info": {"run_id": provisional}})
    runs.note(UID, provisional, "runs/log-metric", metric(0, 7, key="a"))
    runs.made(UID, provisional, real, {"info": {"run_id": real}})
    runs.note(UID, real, "runs/log-metric", metric(1, 8, key="a"))
    assert runs.renamed(UID) == {provisional: real}
    assert [point["value"] for point in runs.history(UID, provisional, "a")] == [7, 8]
    view = runs.view(UID, provisional)
    assert view is not None
    assert view["info"]["run_id"] == real


def test_runs_without_a_base_are_asked_for(runs: Runs) -> None:
    runs.add(UID, "e" * 32)
    runs.add(UID, "m-" + "f" * 32)
    assert runs.unread() == [(UID, "e" * 32)]


def test_experiments_by_id_and_name(runs: Runs) -> None:
    runs.add_experiment(UID, {"experiment_id": "7", "name": "Default"})
    for query, found in [("experiment_id=7", True), ("experiment_name=Default", True), ("experiment_id=8", False),
                         ("experiment_name=x", False), ("", False)]:  # fmt: skip
        assert (runs.experiment(UID, query) is not None) is found, query
