"""Logs of pods: read once, handed on by marks, bounded, and none of it by whoever asks."""

from __future__ import annotations

from typing import Any

import pytest

from ferryml.backends.kubernetes import serving_logs
from ferryml.backends.kubernetes.serving_logs import ServingLogs
from ferryml.domain.errors import Refused, Unavailable
from kube_play import PlayKube
from kube_serving_play import crashed, serves

UID, REV = "endpoint.w.e", "r" * 10


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """One pod `p` of one revision; `turn` is what the thread does."""

    def __init__(self) -> None:
        self.kube, self.clock, self.heard = PlayKube(), Clock(), []
        self.logs = ServingLogs(self.kube, self.heard.append, self.clock)

    def says(self, text: str, pod: str = "p", status: Any = None, version: str = "1") -> None:
        name = "main" if status is None else "main.previous"
        self.kube.pod_logs["ns", pod, name] = text.encode()
        self.logs.follow(UID, [(REV, a_pod(pod, status, version))])
        self.clock.now += 60
        self.logs.turn()

    def read(self, after: int = 0, limit: int = 1 << 20) -> Any:
        return self.logs.read(UID, REV, "inference-server", after, limit)


def a_pod(name: str = "p", status: Any = None, version: str = "1") -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": version}
    return {"metadata": meta, "status": status or serves()}


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.read()
    return made


def test_lines_are_handed_on_once(scene: Scene) -> None:
    scene.says("one\ntwo\n")
    first = scene.read()
    assert first.data == b"one\ntwo\n"
    assert scene.read(first.mark).data == b""
    scene.says("one\ntwo\nthree\n")
    assert scene.read(first.mark).data == b"three\n"
    assert scene.read().data == b"one\ntwo\nthree\n"


def test_nobodys_log_is_read(scene: Scene) -> None:
    scene.logs.follow("endpoint.w.other", [("q" * 10, a_pod("other"))])
    scene.kube.pod_logs["ns", "other", "main"] = b"x\n"
    scene.logs.turn()
    assert scene.logs.read("endpoint.w.other", "q" * 10, "inference-server", 0, 10).data == b""


def test_another_life_goes_on_at_its_mark(scene: Scene) -> None:
    scene.says("one\ntwo\n")
    mark = scene.read().mark
    scene.logs = ServingLogs(scene.kube, scene.heard.append, scene.clock)
    assert scene.read(mark).data == b""
    scene.says("one\ntwo\n")
    assert scene.read(mark).data == b""


def test_what_a_start_said_before_the_next_began_is_not_lost(scene: Scene) -> None:
    scene.says("boom\n", status=crashed(restarts=1))
    assert scene.read().data == b"boom\n"


def test_memory_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_logs, "KEPT_BYTES", 200)
    monkeypatch.setattr(serving_logs, "PIECE_BYTES", 50)
    scene.says("".join(f"line {number:03}\n" for number in range(100)))
    kept = scene.read().data
    assert len(kept) <= 200
    assert kept.endswith(b"line 099\n")


def test_a_reader_gets_no_more_than_it_can_take(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_logs, "PIECE_BYTES", 50)
    scene.says("".join(f"line {number:03}\n" for number in range(30)))
    data, mark = b"", 0
    while (said := scene.read(mark, 60)).data:
        assert len(said.data) <= 60
        data, mark = data + said.data, said.mark
    assert data.count(b"\n") == 30


def test_why_a_start_ended_is_read_when_it_is_asked_for(scene: Scene) -> None:
    pod = a_pod(status=crashed())
    scene.says("begun\n")
    scene.kube.pod_logs["ns", "p", "main"] = b"begun\nboom\n"
    assert scene.logs.printed(UID, pod).crash is None
    scene.logs.ask_crash(UID, pod)
    scene.logs.turn()
    assert scene.logs.printed(UID, pod).crash == "begun\nboom\n"
    assert scene.heard == [UID]
    assert scene.read().data == b"begun\nboom\n"


def test_an_api_server_that_is_away_is_asked_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*asked: Any, **more: Any) -> bytes:
        raise Unavailable("ClusterUnreachable", "away")

    monkeypatch.setattr(scene.kube, "pod_lines", away)
    monkeypatch.setattr(scene.kube, "pod_log", away)
    scene.says("one\n")
    scene.logs.ask_crash(UID, a_pod(status=crashed()))
    scene.logs.turn()
    assert scene.read().data == b""
    monkeypatch.undo()
    scene.says("one\n", version="2")
    assert scene.read().data == b"one\n"


def test_what_is_forgotten_is_gone(scene: Scene) -> None:
    scene.says("one\n")
    scene.logs.forget(UID)
    assert scene.read().data == b""


def test_an_unknown_container_is_refused(scene: Scene) -> None:
    with pytest.raises(Refused, match="no-such"):
        scene.logs.read(UID, REV, "no-such", 0, 1)
