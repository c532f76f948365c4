"""Models that come and go: one of little room, load that steps up from one instance to four, updates under load."""

from __future__ import annotations

import json
import time
from functools import partial

from benchmarks.cluster_kit import IMAGE, W
from benchmarks.kit import until
from benchmarks.serving_kit import LIMIT_S, PACKAGES, Stage
from benchmarks.serving_traffic import ENDPOINT

ROOM = {"cpu": "200m", "memory": "200Mi"}
SCORE = """
from sklearn.linear_model import LogisticRegression
def init():
    global model
    model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
def run(raw): return model.predict([[2.5]]).tolist()
"""
ENVIRONMENT = {
    "name": "sklearn", "image": IMAGE,
    "conda_file": {"dependencies": ["python>=3.11", {"pip": list(PACKAGES)}]},
}  # fmt: skip
TAKES_S = 0.2
MOST = 4


def small(stage: Stage) -> None:
    """scikit-learn in 0.2 CPU and 200 MiB, from `create` to ready: with the environment to be made, and without."""
    stage.serving.endpoint("small")
    for turn, name in (("environment is made", "first"), ("environment is there", "second")):
        document = stage.serving.document(
            "small", name, SCORE, environment=ENVIRONMENT, resources={"requests": ROOM, "limits": ROOM},
            request_settings={"request_timeout_ms": 3000},
        )  # fmt: skip
        began = time.perf_counter()
        stage.serving.deploy(document, "--no-wait")
        _ready(stage, "small", name)
        stage.figures.add(f"scikit-learn in 0.2 CPU and 200 MiB, {turn}: ready after", time.perf_counter() - began, "s")
    stage.traffic("small", first=0, second=100)
    began = time.perf_counter()
    status, said = stage.serving.ask("small", {"data": [1]})
    if (status, said) != (200, [1]):
        raise RuntimeError(f"it answers {status}: {said}")
    stage.figures.add("its first answer", (time.perf_counter() - began) * 1000, "ms")
    stage.world.ferry("online-endpoint", "delete", "-n", "small", "-y")


def step(stage: Stage) -> None:
    """Four callers come at once where one instance of one place runs; how soon there are four, who was not answered."""
    scale = {
        "type": "target_utilization", "min_instances": 1, "max_instances": MOST, "target_utilization_percentage": 100,
    }  # fmt: skip
    settings = {"max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60_000}
    decided, ready, failed, asked = [], [], 0, 0
    for turn in range(1 if stage.quick else 3):
        name = f"grows{turn}"
        stage.serving.endpoint(name)
        stage.serving.deploy(
            stage.sleeper(name, "blue", TAKES_S, scale_settings=scale, request_settings=settings), "--all-traffic"
        )
        if stage.serving.ask(name, {})[0] != 200:
            raise RuntimeError(f"{name} does not answer")
        with stage.callers(name, MOST, 0.001) as callers:
            began = time.perf_counter()
            until(partial(_has, stage, name, "spec", "replicas"), LIMIT_S, 0.01)
            decided.append(time.perf_counter() - began)
            until(partial(_has, stage, name, "status", "readyReplicas"), LIMIT_S, 0.05)
            ready.append(time.perf_counter() - began)
            time.sleep(1)
        failed, asked = failed + stage.failed(callers), asked + len(callers.answers())
        stage.world.ferry("online-endpoint", "delete", "-n", name, "-y")
    stage.figures.add("step from 1 to 4: decided after, at most", max(decided), "s")
    stage.figures.add("step from 1 to 4: four ready after, at most", max(ready), "s")
    stage.figures.add("step from 1 to 4: requests", asked, "requests")
    stage.figures.add("step from 1 to 4: not answered", failed, "requests")
    stage.figures.notes.append(f"step of load: {len(decided)} times; the model is a Python program without packages")


def updates(stage: Stage) -> None:
    """A new revision under load: by `update`, and by a rollout in three steps; weights by way of the server."""
    figures = stage.figures
    stage.traffic(ENDPOINT, blue=100, green=0, shadow=0)
    with stage.callers(ENDPOINT, 4) as callers:
        began = time.perf_counter()
        stage.serving.deploy(stage.quickest(ENDPOINT, "blue", environment_variables={"OF": "2"}), verb="update")
        figures.add("update under load: done after", time.perf_counter() - began, "s")
        began = time.perf_counter()
        _roll(stage)
        figures.add("rollout of 10, 50, 100 % under load: promoted after", time.perf_counter() - began, "s")
        took = [stage.traffic(ENDPOINT, blue=90 - n, green=10 + n, shadow=0) for n in range(5 if stage.quick else 20)]
        figures.spread("weights by a request to the server: told in effect after", [one * 1000 for one in took], "ms")
    figures.add("updates under load: requests", len(callers.answers()), "requests")
    figures.add("updates under load: not answered", stage.failed(callers), "requests")


def _roll(stage: Stage) -> None:
    least = 50 if stage.quick else 300
    document = {
        "name": "third", "deployment": stage.quickest(ENDPOINT, "blue", environment_variables={"OF": "3"}),
        "endpoints": [ENDPOINT], "steps": [10, 50, 100], "keep_previous": 60,
        "per_step": {"min_requests": least, "timeout": 120}, "rollback_if": {"max_error_rate": 0.01},
    }  # fmt: skip
    file = stage.base / "rollout.yml"
    file.write_text(json.dumps(document))
    stage.world.ferry("rollout", "create", "-f", str(file))

    def look() -> str | None:
        found: str = stage.world.get(f"{W}/rollouts/third")["status"]
        return found if found in ("promoted", "rolled_back", "failed") else None

    if until(look, LIMIT_S, 0.1) != "promoted":
        raise RuntimeError(f"the rollout: {stage.world.get(f'{W}/rollouts/third')}")


def _ready(stage: Stage, endpoint: str, name: str) -> None:
    def look() -> bool | None:
        shown = stage.serving.shown(endpoint, name)
        if shown["provisioning_state"] == "Failed":
            raise RuntimeError(f"{endpoint}/{name}: {shown['ferry']}")
        return shown["provisioning_state"] == "Succeeded" or None

    until(look, LIMIT_S * 2, 0.1)


def _has(stage: Stage, endpoint: str, part: str, field: str) -> bool:
    """Whether its Deployment counts so many."""
    found = stage.cluster.api.get(f"/apis/apps/v1/namespaces/{stage.namespace}/deployments")["items"]
    mine = [one for one in found if one["metadata"]["annotations"]["ferryml.dev/name"] == f"{endpoint}/blue"]
    return bool(mine) and mine[0][part].get(field) == MOST
