"""What serves is never harmed by what is new: everything that may end, ends in each phase of a rollout under load."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster_faults import own_pod
from cluster_play import SYSTEM
from kubebox.node import Node
from rollout_faults_play import FAULTS, LAST, PAIRS, PATIENCE_S, PHASES, Healing, Scene
from serving_cluster_play import installed
from system_play import Callers

TINY = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
ROUTERS = {"replicas": 3, "resources": TINY, "sidecarResources": TINY, "tapResources": TINY}
VALUES = {
    "cluster": {"lease_s": 6, "serving_node_lost_s": 10},
    "gateway": {"store": {"kind": "claim", "size": "1Gi"}},
    "inference": {"router": ROUTERS},
}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def scene(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server, a cluster of three nodes with a router on each, and an endpoint whose first revision serves."""
    with installed(clusters, component, tmp_path_factory.mktemp("faults"), VALUES, nodes=3) as serving:
        yield Scene(serving)
    clusters.end("cloud")


def test_a_node_may_be_drained(scene: Scene) -> None:
    """Of two pods one may go, and the other not before there is a new one."""
    serving, champion = scene.serving, scene.champion
    serving.until(lambda: len(scene.ready(champion)) == 2)
    first, second = scene.pods(champion)
    with scene.callers() as callers:
        assert serving.evict(first) == ""
        assert "disruption budget" in serving.evict(second)
        serving.until(lambda: len(scene.ready(champion)) == 2)
        scene.goes_on(callers)
    assert scene.unexplained(callers) == []


def goes_through(scene: Scene, shift: int) -> None:
    """A good one, with two faults in each phase."""
    name, champion, words = f"good-{shift}", scene.champion, {scene.word}
    with scene.callers() as callers:
        scene.goes_on(callers)
        scene.roll(name)
        candidate = _each_phase(scene, name, shift, callers)
        told = scene.told(name, "promoted")
        scene.settled()
        scene.serving.until(lambda: scene.only(candidate), 120)
        scene.goes_on(callers)
    scene.word = name
    assert scene.champion == candidate != champion
    assert [move["transition"].rpartition("-> ")[2] for move in told["evidence"]] == list(PHASES)
    for move, least in zip(told["evidence"][1:], (30, 10, 10, 10), strict=True):
        seen = move["figures"]["candidate"]
        assert seen["requests"] + seen["mirrored"] >= least, move
    assert scene.unexplained(callers) == [], scene.harms
    assert {body for status, body in callers.answers() if status == 200} == {f'["{word}"]' for word in words | {name}}


def _each_phase(scene: Scene, name: str, shift: int, callers: Callers) -> str:
    """All is mended again when this returns; the new revision."""
    champion, candidate = scene.champion, ""
    soon: list[Healing] = []
    late: list[Healing] = []
    for at, phase in enumerate(PHASES):
        scene.reaches(name, phase)
        while soon:
            soon.pop()()
        candidate = candidate or scene.candidate
        assert set(scene.revisions()["deployments.apps"]) <= {champion, candidate}, "one new revision, and no other"
        for fault in PAIRS[(at + shift) % len(PAIRS)]:
            heal = FAULTS[fault](scene, champion, candidate)
            if heal is not None:
                (late if fault in LAST else soon).append(heal)
        scene.goes_on(callers)
    for heal in (*soon, *late):
        heal()
    return candidate


@pytest.mark.parametrize("shift", [0, 2])
def test_a_good_one_comes_through(scene: Scene, shift: int) -> None:
    """Each fault in two phases; in the first the server is away from the mirror to the end."""
    goes_through(scene, shift)


@pytest.mark.parametrize("shift", [1, 3, 4])
def test_with_every_fault_in_every_phase(scene: Scene, shift: int) -> None:
    goes_through(scene, shift)


ENDS: dict[str, tuple[str, str, list[int]]] = {
    "mirroring": ("agent", "server", [20, 100]),
    "step 20 %": ("link", "agent-pod", [20, 100]),
    "step 50 %": ("server", "sidecar", [50, 100]),
    "step 100 %": ("api-server", "champion", [100]),
}
"""Phase in which it goes bad -> fault just before, fault once the site has taken it back, steps."""


@pytest.mark.parametrize("phase", ENDS)
def test_one_that_goes_bad_is_taken_back(scene: Scene, phase: str) -> None:
    name, champion = f"bad-in-{phase.replace(' ', '').rstrip('%')}", scene.champion
    before, (first, second, steps) = scene.lives(champion), ENDS[phase]
    mirror = {"percent": 20, "min_requests": 10_000} if phase == PHASES[0] else None
    patience = {"min_requests": 10_000, "timeout": "5m"}
    with scene.callers() as callers:
        scene.roll(name, steps=steps, mirror=mirror, per_step=patience)
        scene.reaches(name, phase)
        candidate, heals = scene.candidate, []
        if first == "api-server":  # without it nobody gets into a pod
            scene.go_bad(candidate, after_s=1)
        heals.append(FAULTS[first](scene, champion, candidate))
        if first != "api-server":
            scene.go_bad(candidate)
        scene.reaches(name, "rolled_back", 60)
        assert scene.lives(champion) == before, "untouched"
        heals.append(FAULTS[second](scene, champion, candidate))
        scene.goes_on(callers)
        for heal in heals:
            if heal is not None:
                heal()
        told = scene.told(name, "rolled_back")
        scene.settled()
        scene.serving.until(lambda: scene.only(champion), 120)
        scene.goes_on(callers)
    assert scene.champion == champion
    last = told["evidence"][-1]
    assert last["transition"] == f"{phase} -> rolled_back"
    assert "error rate" in last["reason"]
    assert last["figures"]["candidate"]["errors"] + last["figures"]["candidate"]["mirror_errors"] >= 3, last
    assert last["figures"]["champion"]["requests"] > 0 or phase == "step 100 %", "it is judged beside the old one"
    assert scene.unexplained(callers, own=candidate if mirror is None else "") == [], scene.harms


@pytest.fixture
def steady(scene: Scene) -> Iterator[Scene]:
    """Both pods of the champion are ready, and agent and gateway at the node through which tests come in."""
    scene.keeps_to(scene.cluster.nodes[0], "ferry-agent", "ferry-gateway")
    scene.serving.until(lambda: len(scene.ready(scene.champion)) == 2, 90)
    scene.patience_s = PATIENCE_S
    yield scene
    scene.patience_s = 30


SLOWLY = {"mirror": None, "steps": [50, 100], "per_step": {"min_requests": 30, "min_duration": "12s", "timeout": "5m"}}


@pytest.mark.parametrize("whose", ["champion", "candidate"])
def test_a_node_may_be_lost_in_the_middle(steady: Scene, whose: str) -> None:
    """With a pod of that revision and a router; none of it is the new revision's fault, and it comes through."""
    loses_a_node(steady, f"lost-{whose}", lambda old, new: steady.node_of(old if whose == "champion" else new))


def test_the_agents_node_may_be_lost_in_the_middle(steady: Scene) -> None:
    """The rollout stands still until another agent goes on with it."""
    node = steady.cluster.nodes[1]
    steady.keeps_to(node, "ferry-agent")
    loses_a_node(steady, "lost-agent", lambda old, new: node)
    assert own_pod(steady.cluster, "ferry-agent")["spec"]["nodeName"] != node.name


def loses_a_node(scene: Scene, name: str, which: Callable[[str, str], Node]) -> None:
    """In a step of a rollout with a good candidate; `which` is told of both revisions."""
    champion, words = scene.champion, {scene.word, name}
    with scene.callers() as callers:
        scene.goes_on(callers)
        scene.roll(name, **SLOWLY)
        scene.reaches(name, "step 50 %")
        scene.says(callers, name, 20)
        candidate = scene.candidate
        node = which(champion, candidate)
        try:
            scene.lose(node)
            scene.goes_on(callers)
            told = scene.told(name, "promoted")
            scene.serving.until(lambda: len(scene.ready(candidate)) == 2, 60)
            assert node.name not in {pod["spec"]["nodeName"] for pod in scene.ready(candidate)}
            scene.goes_on(callers)
        finally:
            node.revive()
            scene.cluster.wait_ready([node])
        scene.settled()
        scene.serving.until(lambda: scene.only(candidate, leaving=False), 120)
        scene.goes_on(callers)
    scene.word = name
    assert scene.champion == candidate != champion
    moves = [move["transition"].rpartition("-> ")[2] for move in told["evidence"]]
    assert moves == ["step 50 %", "step 100 %", "promoted"], "each once"
    assert scene.unexplained(callers) == [], scene.harms
    assert {body for status, body in callers.answers() if status == 200} == {f'["{word}"]' for word in words}


def test_routers_that_all_end_at_once_are_soon_gone(scene: Scene) -> None:
    """Each hears of the others' ends and reads its files anew meanwhile; their grace is minutes."""
    scene.settled()
    old = [f"pod/{pod['metadata']['name']}" for pod in scene.routers()]
    assert len(old) == 3
    scene.cluster.kubectl("delete", *old, "-n", SYSTEM, "--wait=false")
    scene.cluster.kubectl("wait", *old, "-n", SYSTEM, "--for=delete", "--timeout=90s")
    scene.settled()
    with scene.callers() as callers:
        scene.goes_on(callers)
    assert callers.failures() == []


def test_a_node_may_be_drained_in_the_middle(steady: Scene) -> None:
    """With the only pod of a candidate: the old one answers alone until another is ready.

    The last test: what serves has one pod afterwards.
    """
    scene, name, champion = steady, "drained", steady.champion
    with scene.callers() as callers:
        scene.goes_on(callers)
        scene.roll(name, instances=1, **SLOWLY)
        scene.reaches(name, "step 50 %")
        scene.says(callers, name, 10)
        candidate = scene.candidate
        (pod,) = scene.pods(candidate)
        node = pod["spec"]["nodeName"]
        try:
            scene.drain(node)
            told = scene.told(name, "promoted")
        finally:
            scene.cluster.kubectl("uncordon", node)
        assert scene.ready(candidate)[0]["spec"]["nodeName"] != node
        scene.settled()
        scene.goes_on(callers)
    assert scene.champion == candidate != champion
    moves = [move["transition"].rpartition("-> ")[2] for move in told["evidence"]]
    assert moves == ["step 50 %", "step 100 %", "promoted"]
    assert scene.unexplained(callers) == []
