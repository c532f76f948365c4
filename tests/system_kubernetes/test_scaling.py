"""Load on a cluster: instances follow it without a lost request, and a mirror beside it that nobody notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import kubebox_images as images
from cluster_play import IMAGE, SYSTEM, World
from ferryml.backends.kubernetes.lease import NAME as LEASE
from ferryml.cli.endpoints import MIRROR
from ferryml.domain.scaling import CALM_S
from load_play import People, a_model
from serving_cluster_play import NAMESPACE, PACKAGES, Serving
from system_play import W

VALUES = {
    "cluster": {"default_image": IMAGE}, "router": {"threads": 1},
    "inference": {"enabled": True, "allowInsecureConnections": True},
}  # fmt: skip
PLACES, MOST = 4, 4
SETTINGS = {
    "max_concurrent_requests_per_instance": PLACES, "max_queue_wait_ms": 60_000, "request_timeout_ms": 60_000,
}  # fmt: skip
SCALE = {
    "type": "target_utilization", "min_instances": 1, "max_instances": MOST, "target_utilization_percentage": 100,
}  # fmt: skip
SLOW_S = CALM_S + 15
"""Longer than the calm, and than the pause in which a pod that is to end hears nothing of it."""
REST_S = 3
ROUTER = "-l=app.kubernetes.io/name=ferry-router"
pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def serving(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server, and a cluster of one node that has joined it."""
    helm = component("helm")["helm"]
    component("buildah")
    folder: Path = tmp_path_factory.mktemp("scaling")
    world = World(folder, helm, PACKAGES)
    try:
        world.serve()
        cluster = clusters.kubebox("cloud")
        cluster.load_image(images.build("router"))
        world.install(cluster, "cloud", "eu", (NAMESPACE,), VALUES, report_interval_s=0.5)
        world.attach(NAMESPACE, "cloud", NAMESPACE)
        yield Serving(world, cluster, folder)
    finally:
        world.close()


class Replicas:
    """How many the Deployment of an endpoint was told to have, each change once, from the outside."""

    def __init__(self, serving: Serving, endpoint: str) -> None:
        self._serving, self._endpoint = serving, endpoint
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: list[int] = []
        self.when: list[float] = []

    def __enter__(self) -> Replicas:
        self._thread.start()
        self._serving.until(lambda: self.seen)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _look(self) -> None:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        while not self._over.wait(0.1):
            found = self._serving.cluster.api.get(path)["items"]
            for one in found:
                if one["metadata"]["annotations"]["ferryml.dev/name"] == f"{self._endpoint}/blue":
                    self._sees(one["spec"]["replicas"])

    def _sees(self, count: int) -> None:
        if self.seen[-1:] != [count]:
            self.when.append(time.monotonic())
            self.seen.append(count)


class Crowd:
    """People who ask without a pause, for the block."""

    def __init__(self, people: People, count: int, body: object) -> None:
        self._people, self._body = people, body
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        self.said: list[int] = []

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(90)

    def _ask(self) -> None:
        while not self._over.is_set():
            self.said += [one.status for one in self._people.ask(*[self._body] * 5)]


def ready(serving: Serving, endpoint: str) -> list[str]:
    """Pods that take requests."""
    return [
        pod["metadata"]["name"]
        for pod in serving.pods(endpoint)
        if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
    ]


def agent_is_another(serving: Serving) -> None:
    """The one that leads is killed, and another leads; the server may be away."""
    lead = ("get", "lease", LEASE, "-n", SYSTEM, "-o", "jsonpath={.spec.holderIdentity}")
    before = serving.cluster.kubectl(*lead)
    serving.cluster.kubectl("delete", "pod", before, "-n", SYSTEM, "--grace-period=0", "--force", limit_s=60)
    serving.until(lambda: serving.cluster.kubectl(*lead) not in ("", before), 90)


def test_instances_follow_the_load_while_server_and_agent_come_and_go(serving: Serving) -> None:
    serving.endpoint("grows")
    serving.deploy(a_model(serving, "grows", scale_settings=SCALE, request_settings=SETTINGS), "--all-traffic")
    people = People(serving, "grows")
    assert [one.status for one in people.ask({})] == [200]
    with serving.world.without_server(), Replicas(serving, "grows") as replicas:
        # long enough that all of them are under way at once, however slow this machine is to ask
        with Crowd(people, PLACES * MOST, {"takes": 2}) as crowd:
            serving.until(lambda: len(ready(serving, "grows")) == MOST)
            assert max(after - before for before, after in pairwise(replicas.seen)) > 1, "several at a time"
            agent_is_another(serving)
            asked = len(crowd.said)
            serving.until(lambda: len(crowd.said) > asked + 40)
            leave = time.monotonic()
        assert set(crowd.said) == {200}
        assert replicas.seen[-1] == MOST

        # one that is slow on each instance: one instance would do, so whichever ends has one to finish
        before, changes = set(ready(serving, "grows")), len(replicas.seen)
        slow = people.at_once([[{"takes": SLOW_S}]] * MOST)
        ended = time.monotonic()
        assert [one.status for one in slow] == [200] * MOST, slow
        assert {one.body["from"] for one in slow} == before
        serving.until(lambda: replicas.seen[-1] == 1)
        assert leave + CALM_S - 3 < replicas.when[changes] < ended - 6, "after the calm, and while they were answered"
    serving.until(lambda: len(serving.pods("grows")) == 1)
    assert set(ready(serving, "grows")) < before
    serving.until(lambda: serving.shown("grows")["ferry"]["revisions"], 60)
    serving.world.ferry("online-endpoint", "delete", "-n", "grows", "-y", "--no-wait")


class Mirrored:
    """The endpoint `twin`: blue answers, half of what it is asked is copied to `shadow`."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        serving.endpoint("twin")
        settings = {"max_concurrent_requests_per_instance": 8, "request_timeout_ms": 3000}
        for name, role in (("blue", "live"), ("shadow", "shadow")):
            made = a_model(serving, "twin", name, role, request_settings=settings)
            serving.deploy(made, *(("--all-traffic",) if name == "blue" else ()))
        serving.world.ferry("online-endpoint", "update", "-n", "twin", "--mirror-traffic", "shadow=50")
        self.people = People(serving, "twin")
        self.figures = self.counted()

    def counted(self) -> dict[str, int]:
        """What `stats` says of the shadow, once it has rested for longer than a report takes."""
        before: dict[str, Any] = {}
        since = time.monotonic()

        def rests() -> bool:
            nonlocal before, since
            stats = self.serving.world.get(f"{W}/online-endpoints/twin/stats")
            now = {name: stats["deployments"]["shadow"].get(name) for name in (*MIRROR, "in_flight", "queued")}
            if now != before or now["in_flight"] or now["queued"]:
                before, since = now, time.monotonic()
            time.sleep(0.2)
            return time.monotonic() - since > REST_S

        self.serving.until(rests)
        return {name: int(before[name]) for name in MIRROR}

    def adds(self, bodies: Sequence[object], callers: int = 4) -> dict[str, int]:
        """What the shadow's figures rose by; no answer may be bad, or have waited for the shadow."""
        said = self.people.at_once([bodies[place::callers] for place in range(callers)])
        assert {one.status for one in said} == {200}, [one for one in said if one.status != 200][:3]
        assert max(one.took_s for one in said) < 2, sorted(one.took_s for one in said)[-3:]
        before, self.figures = self.figures, self.counted()
        return {name: count - before[name] for name, count in self.figures.items()}


@pytest.fixture(scope="module")
def mirrored(serving: Serving) -> Mirrored:
    return Mirrored(serving)


def half(count: int) -> range:
    """What a fair coin gives but once in a million times."""
    return range(int(count / 2 - 2.5 * count**0.5), int(count / 2 + 2.5 * count**0.5) + 1)


def test_copies_are_compared_and_counted(mirrored: Mirrored) -> None:
    count = 120
    same = mirrored.adds([{"says": [1.5]}] * count)
    assert same["mirrored"] in half(count), same
    assert not sum(same[name] for name in MIRROR if name != "mirrored"), same
    rounded = mirrored.adds([{"says": [1.5], "shadow": {"says": [1.5000000001]}}] * count)
    assert rounded["inexact"] == rounded["mirrored"] in half(count), rounded
    assert not rounded["mismatches"] + rounded["disagreements"], rounded
    surer = {"says": {"label": "cat", "score": 0.9}, "shadow": {"says": {"label": "cat", "score": 0.7}}}
    other = mirrored.adds([surer] * count)
    assert (other["mismatches"], other["disagreements"]) == (other["mirrored"], 0), other
    wrong = mirrored.adds([{"says": ["cat"], "shadow": {"says": ["dog"]}}] * count)
    assert wrong["mismatches"] == wrong["disagreements"] == wrong["mirrored"] in half(count), wrong


def test_a_shadow_that_is_slow_or_ends_is_nobodys_trouble(mirrored: Mirrored) -> None:
    slow = mirrored.adds([{"shadow": {"takes": 5}}] * 100)
    assert slow["mirror_errors"] + slow["mirror_dropped"] in half(100), slow
    dying = mirrored.adds([{"shadow": {"dies": True}}] * 100)
    assert dying["mirror_errors"] + dying["mirror_dropped"] > 0, dying
    mirrored.serving.until(lambda: mirrored.adds([{"says": [1]}] * 10)["mirrored"] > 0, 90)


def test_a_tap_that_is_frozen_or_killed_is_nobodys_trouble(mirrored: Mirrored) -> None:
    serving = mirrored.serving
    (pod,) = serving.cluster.kubectl("get", "pods", "-n", SYSTEM, ROUTER, "-o", "name").split()

    def tap(signal: str) -> None:
        script = (
            "for p in /proc/[0-9]*; do "
            "if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^[^ ]*python[^ ]* .*router tap'; "
            f"then kill -{signal} ${{p#/proc/}}; fi; done"
        )
        serving.cluster.kubectl("exec", "-n", SYSTEM, pod, "-c", "tap", "--", "sh", "-c", script)

    people = mirrored.people
    tap("STOP")
    try:
        frozen = people.at_once([[{"says": [1]}] * 40] * 4)
    finally:
        tap("CONT")
    assert {one.status for one in frozen} == {200}
    assert max(one.took_s for one in frozen) < 2
    assert mirrored.adds([{"says": [1]}] * 40)["mirrored"] > 0, "it goes on where it was"
    with Crowd(people, 3, {"says": [1]}) as crowd:
        tap("KILL")
        serving.until(lambda: len(crowd.said) > 200)
    assert set(crowd.said) == {200}
    mirrored.serving.until(lambda: mirrored.adds([{"says": [1]}] * 10)["mirrored"] > 0, 60)
    serving.world.ferry("online-endpoint", "delete", "-n", "twin", "-y", "--no-wait")
