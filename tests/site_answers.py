"""A cluster's agent as the server sees it: heartbeats with an inventory, and an answer when it is asked to look."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from control_play import OWNER, WORKSPACE, Play, enrolment
from ferryml.control import computes, link, sites
from ferryml.domain.link import Heartbeat

NODE = {
    "name": "n1", "ready": True, "cpu_millis": 4000, "memory_bytes": 8 * 2**30, "disk_bytes": 2**36, "gpus": {},
    "labels": {"pool": "cpu"}, "taints": [], "free": {"cpu_millis": 3000, "memory_bytes": 6 * 2**30},
}  # fmt: skip


def a_type(cpu: str = "1", memory: str = "1Gi", **limits: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {"resources": {"requests": amounts, "limits": {**amounts, **limits}}, "origin": "ferry"}


def inventory(**more: Any) -> dict[str, Any]:
    """Of a cluster with one free node, the namespace `ml` and two types."""
    types = {"small": a_type(), "huge": a_type("64", "1Ti")}
    base: dict[str, Any] = {
        "backend": "kubernetes", "kubernetes": "1.34.4", "namespaces": ["default", "ml"], "cluster_wide": True,
        "create_namespaces": False, "nodes": [NODE], "instance_types": types, "doctor": [], "training": True,
        "inference": True,
    }  # fmt: skip
    return {**base, **more}


def a_finding(level: str = "failed", check: str = "dns", code: str = "DnsFailed") -> dict[str, str]:
    words = {"cause": "no name is found", "evidence": "e", "fix": "mend coredns"}
    return {"code": code, "level": level, **words, "check": check}


def a_cluster(play: Play, name: str = "kube", zone: str = "", **more: Any) -> str:
    """A cluster that has joined and told what it has, and cannot be asked."""
    token = sites.create(play.deps, OWNER, name, zone)["join_token"]
    sites.enrol(play.deps, enrolment(token).model_copy(update={"backend": "kubernetes"}))
    told(play, name, **more)
    return name


def told(play: Play, site: str, capabilities: tuple[str, ...] = (), **more: Any) -> None:
    beat = Heartbeat(version="1", inventory=inventory(**more), capabilities=capabilities, at=play.dice.now())
    sites.heartbeat(play.deps, site, beat)


def attach(play: Play, name: str = "kc", site: str = "kube", **more: Any) -> dict[str, Any]:
    document = {"type": "kubernetes", "name": name, "site": site, "namespace": "ml", **more}
    return dict(computes.attach(play.deps, OWNER, WORKSPACE, document))


@contextmanager
def answering(play: Play, site: str, *answers: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Within the block an agent takes the site's wishes, and answers each question with the next of `answers` as its
    inventory; the last one holds from then on."""
    asked: list[dict[str, Any]] = []
    over = threading.Event()
    told(play, site, ("look",))

    def run() -> None:
        after = 0
        while not over.is_set():
            got = link.wishes(play.deps, site, after, "", 0.2)
            after = got.cursor
            for wish in got.wishes:
                settings = getattr(wish.order, "settings", None)
                if settings:
                    answer = answers[min(len(asked), len(answers) - 1)]
                    asked.append(settings)
                    told(play, site, ("look",), answered=settings["ask"], **answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join(10)
