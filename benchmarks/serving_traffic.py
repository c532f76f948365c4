"""Requests to a pod: directly, through plain HAProxy, through our router with all that it does, the local router."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.cluster_kit import W
from benchmarks.haproxy import COMMON
from benchmarks.kit import Program, median, until
from benchmarks.serving_kit import RouterPrograms, Stage
from benchmarks.wrk import Measured, inside, measure, note
from ferryml.domain.routes import EndpointRoute, RevisionRoute, Upstream
from ferryml.router.haproxy.process import find_program

ENDPOINT = "quick"
PATH = f"/api/v1/endpoint/{ENDPOINT}/score"
CONNECTIONS = (1, 8, 32)
OURS, MIRRORED = "our router (key, 90/10)", "our router (key, 90/10), half mirrored"
EFFECT_S = 1.5
"""For server, site and router to carry out a change; that they did is checked at the end."""
PLAIN_PORT, LOCAL_PORT = 7901, 7902
PLAIN = """frontend plain
    bind 127.0.0.1:@PORT@
    default_backend model
backend model
    server model @POD@:5001
"""
A, B = "a" * 10, "b" * 10


def ways(stage: Stage) -> None:
    """At 1, 8 and 32 connections, in turns; medians of the rounds, and what each way adds to the direct one."""
    rounds, seconds = (1, 2) if stage.quick else (3, 5)
    _deploy(stage)
    key = stage.serving.key(ENDPOINT)
    blue, green = stage.pod(ENDPOINT, "blue"), stage.pod(ENDPOINT, "green")
    best: dict[str, float] = {}
    with _plain(stage, blue), _local(stage, key, blue, green):
        urls = {
            "pod, directly": f"http://{blue}:5001/score",
            "plain HAProxy": f"http://127.0.0.1:{PLAIN_PORT}/score",
            OURS: stage.router_url + PATH,
            "local router (key, 90/10)": f"http://127.0.0.1:{LOCAL_PORT}{PATH}",
        }
        for connections in CONNECTIONS:
            seen: dict[str, list[Measured]] = {}
            for number in range(rounds):
                for name in list(urls)[:: 1 if number % 2 else -1]:
                    once = measure(stage.base, urls[name], connections, seconds, key, stage.node)
                    seen.setdefault(name, []).append(once)
                stage.patch(ENDPOINT, {"mirror_traffic": {"shadow": 50}})
                time.sleep(EFFECT_S)
                once = measure(stage.base, urls[OURS], connections, seconds, key, stage.node)
                seen.setdefault(MIRRORED, []).append(once)
                stage.patch(ENDPOINT, {"mirror_traffic": {}})
                time.sleep(EFFECT_S)
            _tell(stage, connections, seen, best)
    for name in (OURS, MIRRORED):
        stage.figures.add(f"{name}: at most", best[name], "requests/s")
    stage.figures.notes.append(note(rounds, seconds) + "; all in the network of the node, so no relay is between")
    _check_mirror(stage)


def idle(stage: Stage) -> None:
    """CPU and memory of the router's programs and the agent while nobody asks."""
    seconds = 10 if stage.quick else 60
    time.sleep(5)
    programs = RouterPrograms(stage.cluster)
    time.sleep(seconds)
    programs.tell(stage.figures, "idle")
    stage.figures.notes.append(f"idle over {seconds} s; one router with two threads, one endpoint of three deployments")


def _deploy(stage: Stage) -> None:
    stage.serving.endpoint(ENDPOINT)
    names = ("blue", "green", "shadow")
    for name in names:
        stage.serving.deploy(stage.quickest(ENDPOINT, name), "--no-wait")
        until(partial(_is_there, stage, name), 120)
    stage.traffic(ENDPOINT, blue=90, green=10, shadow=0)


def _is_there(stage: Stage, name: str) -> bool | None:
    shown = stage.serving.shown(ENDPOINT, name)
    if shown["provisioning_state"] == "Failed":
        raise RuntimeError(f"{name}: {shown['ferry']}")
    return shown["provisioning_state"] == "Succeeded" or None


def _tell(stage: Stage, connections: int, seen: dict[str, list[Measured]], best: dict[str, float]) -> None:
    of = f"{connections} connection{'s' * (connections > 1)}"
    medians = {name: tuple(median([one[part] for one in some]) for part in range(3)) for name, some in seen.items()}
    _, p50, p99 = medians["pod, directly"]
    for name, (rate, mine50, mine99) in medians.items():
        best[name] = max(rate, best.get(name, 0.0))
        stage.figures.add(f"{of}: {name}", rate, "requests/s")
        stage.figures.add(f"{of}: {name}, p50", mine50, "ms")
        stage.figures.add(f"{of}: {name}, p99", mine99, "ms")
        if name != "pod, directly":
            stage.figures.add(f"{of}: {name}, adds at p50", mine50 - p50, "ms")
            stage.figures.add(f"{of}: {name}, adds at p99", mine99 - p99, "ms")


def _check_mirror(stage: Stage) -> None:
    """Copies have been sent, or what was measured as mirrored was not."""

    time.sleep(6)  # until the site has told the last of them
    stats = stage.world.get(f"{W}/online-endpoints/{ENDPOINT}/stats")["deployments"]["shadow"]
    if not stats.get("mirrored"):
        raise RuntimeError(f"nothing was mirrored: {stats}")
    stage.figures.add("copies sent to the shadow", stats["mirrored"], "requests")
    stage.figures.add("copies left out because the tap was full", stats["mirror_dropped"], "requests")


@contextmanager
def _plain(stage: Stage, pod: str) -> Iterator[None]:
    config = stage.base / "plain.cfg"
    text = COMMON.format(threads=2) + PLAIN.replace("@PORT@", str(PLAIN_PORT)).replace("@POD@", pod)
    config.write_text(text)
    argv = [*inside(stage.node), find_program(), "-db", "-f", str(config)]
    program = Program(argv, stage.base / "plain.log", speaks=False)
    try:
        time.sleep(0.5)
        yield
    finally:
        program.stop()


@contextmanager
def _local(stage: Stage, key: str, blue: str, green: str) -> Iterator[None]:
    revisions = tuple(
        RevisionRoute(
            revision=name, deployment=f"dep-{name[0]}", upstreams=(Upstream(instance=0, host=pod, port=5001),),
            max_concurrent_requests=64,
        )
        for name, pod in ((A, blue), (B, green))
    )  # fmt: skip
    route = EndpointRoute(
        uid="endpoint.default.quick", name=ENDPOINT, key_hashes=(hashlib.sha256(key.encode()).hexdigest(),),
        weights={A: 90, B: 10}, revisions=revisions,
    )  # fmt: skip
    argv = [*inside(stage.node), sys.executable, "-m", "benchmarks.run_router", "--port", str(LOCAL_PORT)]
    program = Program([*argv, "--route", route.model_dump_json()], stage.base / "local.log")
    try:
        program.ready()
        yield
    finally:
        program.stop()
