"""A thousand short jobs through one agent: nodes are played by kwok, what pods say to the gateway is played here."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.cluster_kit import (
    NAMESPACE,
    POOL,
    Programs,
    W,
    cpu_s,
    own_requests,
    pod_address,
    pod_token,
    server_processes,
    submit_all,
    tests,
    watch_pods,
)
from benchmarks.kit import Figures

NODES = 20
LIMIT_S = 420.0
"""For all jobs together; what is not over by then is not counted, and said."""
IDLE_S = 10.0


def crowd(figures: Figures, world: Any, cluster: Any, count: int) -> None:
    """Jobs a second from the first submission to the last one's end, and what each costs."""
    played = tests("kubebox.crowd")
    played.start(cluster, tests("components").find("kwok")["kwok"], NODES)
    try:
        cluster.apply(_instance_type(played))
        _until_known(world)
        names = [f"crowd-{number}" for number in range(count)]
        with _Sidecars(cluster):
            calm = _requests_in(cluster, IDLE_S)
            programs, requests = Programs(cluster), own_requests(cluster)
            server, used = server_processes(world), cpu_s(server_processes(world))
            began = time.perf_counter()
            submit_all(world, names, "true", "bench", resources={"instance_type": "played"})
            figures.add(f"{count} jobs submitted", count / (time.perf_counter() - began), "jobs/s")
            over = _ended(world, names, began)
            took = time.perf_counter() - began
        figures.add(f"{count} short jobs through one agent, played pods", over / took, "jobs/s")
        programs.tell(figures, f"over {count} short jobs")
        figures.add("server, CPU of each of them", (cpu_s(server) - used) / max(over, 1) * 1000, "ms")
        asked = own_requests(cluster) - requests - calm * took
        figures.add("requests to the API server for each of them", asked / max(over, 1), "requests")
        if over < count:
            raise TimeoutError(f"{over} of {count} jobs were over after {took:.0f} s")
    finally:
        played.stop(cluster)


def _requests_in(cluster: Any, seconds: float) -> float:
    """A second, while nothing happens."""
    before = own_requests(cluster)
    time.sleep(seconds)
    return (own_requests(cluster) - before) / seconds


def _ended(world: Any, names: Sequence[str], began: float) -> int:
    """How many have Completed; raises RuntimeError when one ended otherwise."""
    over = 0
    for name in names:
        while (phase := world.job(name)["status"]) != "Completed":
            if phase in ("Failed", "Canceled"):
                raise RuntimeError(f"job {name} is {phase}: {world.job(name)['ferry'].get('reason')}")
            if time.perf_counter() - began > LIMIT_S:
                return over
            time.sleep(0.2)
        over += 1
    return over


def _until_known(world: Any) -> None:
    end = time.monotonic() + 60
    while not world.get(f"{W}/computes/bench")["instance_types"].get("played", {}).get("fits"):
        if time.monotonic() > end:
            raise TimeoutError("the server has not heard of the instance type of played nodes")
        time.sleep(0.5)


def _instance_type(played: Any) -> dict[str, Any]:
    amounts = {"cpu": "100m", "memory": "100Mi"}
    toleration = {"key": played.TAINT["key"], "operator": "Exists"}
    spec = {
        "nodeSelector": played.LABELS, "tolerations": [toleration],
        "resources": {"requests": amounts, "limits": amounts},
    }  # fmt: skip
    return {"apiVersion": "ferryml.dev/v1alpha1", "kind": "InstanceType", "metadata": {"name": "played"}, "spec": spec}


class _Sidecars:
    """For each played pod that has ended: a token of its own, its last words, and that everything was handed over."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        port = cluster.forward(pod_address(cluster, "ferry-gateway"), 8443)
        self._http = httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=False, trust_env=False, timeout=30)
        self._pool = ThreadPoolExecutor(POOL)
        self._kubectl = watch_pods(
            cluster, NAMESPACE, "{.metadata.name} {.metadata.uid} {.status.phase} {.spec.nodeName}"
        )
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._kubectl.terminate()
        self._kubectl.wait(10)
        self._thread.join(5)
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def _read(self) -> None:
        for line in self._kubectl.stdout or ():
            name, uid, phase, node = (line.split() + [""] * 4)[:4]
            if phase == "Succeeded" and node.startswith("fake-") and uid not in self._told:
                self._told.add(uid)
                self._pool.submit(self._speak, name, uid)

    def _speak(self, name: str, uid: str) -> None:
        shown = {"Authorization": f"Bearer {pod_token(self._cluster, name, uid)}"}
        last = {"rank": 0, "phase": "done", "exit_code": 0, "outputs_done": True, "ended_at": time.time()}
        for path, body in (("/v1/complete", {"exit_code": 0, "outputs": {}, "of": 1}), ("/v1/state", last)):
            for _ in range(10):
                with contextlib.suppress(httpx.HTTPError):
                    if self._http.post(path, json=body, headers=shown).is_success:
                        break
                time.sleep(0.5)
