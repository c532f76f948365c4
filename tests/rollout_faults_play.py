"""An endpoint of a real cluster, with people who call it all the time, and what may be broken during a rollout."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster_faults import available, in_pod, kill_container, kill_program, kill_within, own_pod, remove_pod
from cluster_play import SYSTEM
from ferryml.compile.kubernetes.labels import REVISION
from kubebox import faults
from kubebox.node import Node
from serving_cluster_play import NAMESPACE, Serving
from system_play import Callers, W

POINT = "point"
PEOPLE = 4
PHASES = ("mirroring", "step 20 %", "step 50 %", "step 100 %", "promoted")
NEAR_S = 6.0
"""Between a request and the fault that may have taken it: requests end after 5 s."""
PATIENCE_S = 10.0
"""Of callers: whom a dead router kept waiting calls again."""
PROXIED_S = 5.0
"""Between a cluster's word that a node is lost and the last kube-proxy that heeds it."""
BLIND_S = 40.0
"""Until all kubelets have reported again, at the latest."""
PATIENT = {"max_queue_wait_ms": 20_000, "request_timeout_ms": 20_000}
"""What a machine with too much to do answers late is no harm."""
KINDS = ("deployments.apps", "services", "configmaps", "poddisruptionbudgets")
"""What a revision is made of, beside its pods."""
SCORE = """
import os
def init(): pass
def run(raw):
    if os.path.exists("/tmp/bad"): raise ValueError("gone bad")
    return [{name!r}]
"""
GO_BAD = "setsid sh -c 'sleep {after}; touch /tmp/bad' >/dev/null 2>&1 &"
Healing = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Harm:
    """What a fault may take along: `pod`, the requests in it; `door`, connections to a router; and nothing else.

    `nodes`: the cluster itself gave all its nodes up, for kubelets came back late from an API server's absence.
    `node`: one is gone with its pods, each caller's request within it, and connections to its router till the cluster
    has noticed (`until`); in clusters as they are installed that takes 40 to 50 s.
    """

    at: float
    kind: str
    until: float = 0.0

    def forgives(self, failures: list[tuple[float, int, str]]) -> list[tuple[float, int, str]]:
        """Of these, the ones that it explains; within a pod each caller has one request at a time."""
        if self.kind == "nodes":
            return [one for one in failures if -1 <= one[0] - self.at <= BLIND_S and one[1] in (0, 503)]
        if self.kind == "node":
            door = [one for one in failures if self.at - PATIENCE_S <= one[0] <= self.until and one[1] == 0]
            inside = [one for one in failures if -PATIENCE_S <= one[0] - self.at <= NEAR_S and one[1] in (502, 504)]
            return door + inside[:PEOPLE]
        near = [one for one in failures if abs(one[0] - self.at) <= NEAR_S]
        refused = [one for one in near if one[1] == 0] if self.kind == "door" else []
        within = [one for one in near if one not in refused and one[1] in (0, 502, 504)]
        return refused + within[:PEOPLE]


class Scene:
    """The endpoint, whose champion is always the revision that serves now."""

    def __init__(self, serving: Serving) -> None:
        self.serving, self.world, self.cluster = serving, serving.world, serving.cluster
        self.harms: list[Harm] = []
        self.patience_s = 30.0
        self.word = "first"
        """What the champion says."""
        serving.endpoint(POINT)
        serving.deploy(self.deployment(self.word), "--all-traffic")

    # what is wished for

    def deployment(self, says: str, instances: int = 2) -> dict[str, Any]:
        return self.serving.document(
            POINT, score=SCORE.format(name=says), instance_count=instances,
            request_settings={"max_concurrent_requests_per_instance": 8, **PATIENT},
        )  # fmt: skip

    def roll(self, name: str, instances: int = 2, **changes: Any) -> None:
        """A rollout of that name to a revision that says it."""
        plan = {
            "name": name, "deployment": self.deployment(name, instances), "endpoints": [POINT],
            "mirror": {"percent": 20, "min_requests": 30}, "steps": [20, 50, 100],
            "per_step": {"min_requests": 10, "min_duration": "8s", "timeout": "5m"},
            "rollback_if": {"max_error_rate": 0.3, "min_requests": 10}, "keep_previous": "1s",
            **changes,
        }  # fmt: skip
        file = self.serving.folder / f"{name}.yml"
        file.write_text(json.dumps(plan))
        self.world.ferry("rollout", "create", "-f", str(file), "--no-wait")

    def callers(self) -> Callers:
        self.harms.clear()
        return Callers(
            self.serving.uri(POINT), self.serving.key(POINT), PEOPLE, pause_s=0.08, patience_s=self.patience_s
        )

    # what is seen

    @property
    def champion(self) -> str:
        return str(self.serving.shown(POINT)["ferry"]["serving"])

    @property
    def candidate(self) -> str:
        """Of the rollout that the site was told of."""
        (body,) = self.serving.objects("onlineendpoints", POINT)
        return str(body["spec"]["order"]["rollout"]["candidate"])

    def rollout(self) -> Mapping[str, Any]:
        """As the site itself wrote it down, whoever else can be asked or not."""
        (body,) = self.serving.objects("onlineendpoints", POINT)
        found: Mapping[str, Any] = ((body.get("status") or {}).get("status") or {}).get("rollout") or {}
        return found

    def phase(self, name: str) -> str:
        """Of the rollout of this name; empty before the site has begun."""
        seen = self.rollout()
        if seen.get("rollout") != name:
            return ""
        return f"step {seen['percent']} %" if seen["state"] == "stepping" else str(seen["state"])

    def reaches(self, name: str, phase: str, within_s: float = 150) -> None:
        """Until the site is there; one that has gone past it is a test that looked away for too long.

        A server that is there takes a rollout that has ended from the site at once: which end it was, it tells.
        """
        ended = ("promoted", "rolled_back", "failed")

        def there() -> bool:
            now = self.phase(name)
            assert now == phase or now not in ended, (
                f"{now} instead of {phase}: {self.rollout()}\n{self.serving.story()}"
            )
            return now == phase or (phase in ended and not now)

        self.serving.until(there, within_s)

    def told(self, name: str, status: str) -> dict[str, Any]:
        """The server's word on the rollout, once it has ended there."""
        at = f"{W}/rollouts/{name}"
        self.serving.until(lambda: self.world.get(at)["status"] in ("promoted", "rolled_back", "failed"), 90)
        rollout: dict[str, Any] = self.world.get(at)
        assert rollout["status"] == status, rollout
        found: dict[str, Any] = rollout["ferry"]["endpoints"][POINT]
        return found

    def pods(self, revision: str) -> list[dict[str, Any]]:
        """Those that are not being removed, the oldest first."""
        mine = [pod for pod in self.serving.pods(POINT) if pod["metadata"]["labels"][REVISION] == revision]
        return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def ready(self, revision: str) -> list[dict[str, Any]]:
        """Those of its pods that take requests."""
        return [
            pod for pod in self.pods(revision)
            if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        ]  # fmt: skip

    def lives(self, revision: str) -> set[tuple[str, int]]:
        """(uid, restarts) of its pods."""
        return {(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"])
                for pod in self.pods(revision)}  # fmt: skip

    def revisions(self) -> dict[str, list[str]]:
        """kind -> revisions of which there is such an object."""
        return {
            kind: sorted(one["metadata"]["labels"][REVISION] for one in self.serving.objects(kind, POINT))
            for kind in KINDS
        }

    def only(self, revision: str, leaving: bool = True) -> bool:
        """Whether nothing of any other revision is left, save (`leaving`) pods that are being removed."""
        alone = all(names == [revision] for names in self.revisions().values())
        pods = self.serving.pods(POINT) if leaving else self.serving.objects("pods", POINT)
        return alone and len(self.pods(revision)) == 2 == len(pods)

    def node_of(self, revision: str) -> Node:
        """One that carries a pod of it, and not the tests' way into the cluster."""
        found = {pod["spec"]["nodeName"] for pod in self.pods(revision)}
        assert len(found) == 2, f"its pods keep apart: {found}"
        return next(node for node in self.cluster.nodes[1:] if node.name in found)

    def says(self, callers: Callers, word: str, times: int) -> None:
        """Waits for so many answers of it from now on."""
        since = time.monotonic()
        self.serving.until(lambda: callers.answers(since).count((200, f'["{word}"]')) >= times, 60)

    def goes_on(self, callers: Callers) -> None:
        """Serving does, after whatever has just been done."""
        since = time.monotonic()
        self.serving.until(lambda: sum(status == 200 for status, _ in callers.answers(since)) >= 20, 60)

    def unexplained(self, callers: Callers, own: str = "") -> list[tuple[float, int, str]]:
        """Failures that no fault may have caused; `own`: a revision that fails by itself."""
        self._look_for_lost_nodes()
        left = [one for one in callers.failures() if not own or not _is_of(one[2], own)]
        for harm in self.harms:
            forgiven = harm.forgives(left)
            left = [one for one in left if one not in forgiven]
        if left:
            print(self._evidence(left))
        return left

    def _evidence(self, left: list[tuple[float, int, str]]) -> str:
        """What failed when, what was lost when, and what routers said."""
        kinds: dict[str, list[float]] = {}
        for at, status, body in left:
            found = re.search(r'"code": "(\w+)", "message": "([^"]{0,60})', body)
            kinds.setdefault(f"{status} {found.groups() if found else body[:100]}", []).append(at)
        lines = [f"{len(at)} x {kind}: {min(at):.1f} to {max(at):.1f}" for kind, at in kinds.items()]
        lines += [str(harm) for harm in self.harms]
        lines.append(f"now: {time.monotonic():.1f} {datetime.now(UTC)}")
        lines.append(self.cluster.kubectl("get", "events", "-n", "default", "--sort-by=.lastTimestamp")[-3000:])
        for pod in self.routers():
            said = self.cluster.kubectl(
                "logs", "-n", SYSTEM, pod["metadata"]["name"], "-c", "haproxy", "--timestamps", "--tail=60", check=False
            )
            lines += [pod["metadata"]["name"], pod["spec"]["nodeName"], said]
        return "\n".join(lines)

    def _look_for_lost_nodes(self) -> None:
        """Nodes that the cluster gave up at once are nobody's pods and doors; a machine with too much to do does so."""
        chosen = ("events", "-n", "default", "--field-selector=reason=NodeNotReady", "-o", "json")
        found = json.loads(self.cluster.kubectl("get", *chosen))["items"]
        times = [datetime.fromisoformat(str(one["lastTimestamp"])).timestamp() for one in found]
        if len({one["involvedObject"]["name"] for one in found}) == len(self.cluster.nodes):
            self.harms.append(Harm(time.monotonic() - (time.time() - max(times)), "nodes"))

    # what is done to it

    def go_bad(self, revision: str, after_s: float = 0) -> None:
        """From then on every answer of it is an error."""
        for pod in self.pods(revision):
            in_pod(self.cluster, NAMESPACE, pod["metadata"]["name"], GO_BAD.format(after=after_s))

    def kill_pod(self, revision: str) -> None:
        """At once, without goodbye; nothing where there is none any more."""
        for pod in self.pods(revision)[:1]:
            where = ("pod", pod["metadata"]["name"], "-n", NAMESPACE)
            self.harms.append(Harm(time.monotonic(), "pod"))
            self.cluster.kubectl("delete", *where, "--wait=false", "--grace-period=0", "--force")

    def lose(self, node: Node) -> None:
        """Its plug is pulled; returns once the cluster has noticed."""
        at = time.monotonic()
        node.power_off()
        self.cluster.kubectl("wait", "--for=condition=Ready=Unknown", f"node/{node.name}", "--timeout=90s")
        self.harms.append(Harm(at, "node", time.monotonic() + PROXIED_S))

    def drain(self, node: str) -> None:
        """As IT does before it works on a node; returns once all pods of it have gone."""
        options = ("--delete-emptydir-data", "--ignore-daemonsets", "--timeout=150s")
        self.cluster.kubectl("drain", node, *options, limit_s=160)

    def keeps_to(self, node: Node, *programs: str) -> None:
        """These are there, and stay there while others are lost."""
        others = [one.name for one in self.cluster.nodes if one.name != node.name]
        self.cluster.kubectl("cordon", *others)
        try:
            for program in programs:
                if own_pod(self.cluster, program)["spec"]["nodeName"] != node.name:
                    remove_pod(self.cluster, program)
            self.settled()
        finally:
            self.cluster.kubectl("uncordon", *others)

    def kill_haproxy(self) -> None:
        """Of the running router whose HAProxy was killed least."""
        found = [pod for pod in self.routers() if "running" in pod["status"]["containerStatuses"][0]["state"]]
        self.harms.append(Harm(time.monotonic(), "door"))
        kill_container(self.cluster, min(found, key=lambda pod: pod["status"]["containerStatuses"][0]["restartCount"]))

    def kill_beside_haproxy(self, program: str) -> None:
        for pod in self.routers():
            kill_within(self.cluster, SYSTEM, pod["metadata"]["name"], program, f"router {program}")

    def routers(self) -> list[dict[str, Any]]:
        chosen = "-l=app.kubernetes.io/name=ferry-router"
        found: list[dict[str, Any]] = json.loads(
            self.cluster.kubectl("get", "pods", "-n", SYSTEM, chosen, "-o", "json")
        )["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def stop_api_server(self, for_s: float = 3) -> None:
        faults.stop_api_server(self.cluster)
        time.sleep(for_s)
        faults.restart_api_server(self.cluster)

    def settled(self) -> None:
        """Everything that was killed is back."""
        available(self.cluster, "ferry-agent", "ferry-gateway", "ferry-router")


def _is_of(body: str, revision: str) -> bool:
    """Whether an answer names that revision as the one that was asked: request ids begin with it."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and str(said.get("request_id", "")).startswith(f"{revision}-")


Fault = Callable[[Scene, str, str], Healing | None]
"""(scene, champion, candidate) -> how it is mended, where that is for the test to do."""


def _server(scene: Scene, champion: str, candidate: str) -> Healing:
    scene.world.kill_server()
    return scene.world.serve


def _link(scene: Scene, champion: str, candidate: str) -> Healing:
    faults.cut_link(scene.cluster)
    return lambda: faults.restore_link(scene.cluster)


FAULTS: dict[str, Fault] = {
    "champion": lambda scene, champion, candidate: scene.kill_pod(champion),
    "server": _server,
    "candidate": lambda scene, champion, candidate: scene.kill_pod(candidate),
    "sidecar": lambda scene, champion, candidate: scene.kill_beside_haproxy("sidecar"),
    "haproxy": lambda scene, champion, candidate: scene.kill_haproxy(),
    "link": _link,
    "tap": lambda scene, champion, candidate: scene.kill_beside_haproxy("tap"),
    "agent": lambda scene, champion, candidate: kill_program(scene.cluster, "ferry-agent"),
    "api-server": lambda scene, champion, candidate: scene.stop_api_server(),
    "agent-pod": lambda scene, champion, candidate: remove_pod(scene.cluster, "ferry-agent"),
}
PAIRS = [tuple(FAULTS)[at : at + 2] for at in range(0, len(FAULTS), 2)]
"""Two for each phase of a rollout: in as many rollouts as there are pairs, each pair comes to each phase once."""
LAST = ("server",)
"""Mended when the rollout is over: it must come to its end without."""
