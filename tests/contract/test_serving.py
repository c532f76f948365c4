"""What every backend that serves keeps, whatever runs the instances. Add a backend to `SERVING`."""

import json
import urllib.request

import pytest

from ferryml.backends.local.serving import LocalServing
from ferryml.domain.errors import Refused
from fixtures_serving import ReadyMade, a_revision, until
from kube_serving_play import PlayKubelet, PlayServing

UID, OTHER = "endpoint.ws.one", "endpoint.ws.two"
A, B = "a" * 10, "b" * 10
SCORE = "import json\ndef init(): print('hello from init')\ndef run(raw): return [json.loads(raw)]"
GRACE_S = 2


class OnThisMachine:
    """Real processes, which answer."""

    def __init__(self, tmp_path, shelf, request) -> None:
        self._path, self._shelf, self._python = tmp_path, shelf, request.getfixturevalue("server_python")
        self._lives: list[LocalServing] = []

    def begin(self) -> LocalServing:
        if self._lives:
            self._lives[-1].close(end=False)
        self._lives.append(LocalServing(self._path / "serving", self._shelf.at, ReadyMade(self._python)))
        return self._lives[-1]

    def end(self) -> None:
        self._lives[-1].close(end=True)

    def answer(self, seen, body: object) -> object:
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{seen.port}/score", json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=10) as said:
            return json.load(said)


class OnACluster:
    """Pods of an API server in memory: its kubelet reads the script instead of running it."""

    def __init__(self, tmp_path, shelf, request) -> None:
        self._kubelet = PlayKubelet(shelf)
        self._lives: list[PlayServing] = []

    def begin(self):
        if self._lives:
            self._lives[-1].close()
        self._lives.append(PlayServing(self._kubelet, (UID, OTHER)))
        return self._lives[-1].backend

    def end(self) -> None:
        self._lives[-1].close()
        self._kubelet.stop()

    def answer(self, seen, body: object) -> object:
        return [body] if seen.port == 5001 else None


SERVING = {"local": OnThisMachine, "kubernetes": OnACluster}


@pytest.fixture(params=SERVING)
def place(request, tmp_path, shelf):
    """`begin` starts the backend, again and again over the same state."""
    made = SERVING[request.param](tmp_path, shelf, request)
    yield made
    made.end()


def ready(backend, uid: str = UID, count: int = 1):
    def look():
        seen = [one for one in backend.observe(uid) if one.state == "ready"]
        return seen if len(seen) == count else None

    return until(look)


def whole_log(backend, revision: str, container: str = "inference-server") -> bytes:
    data, mark = b"", 0
    while (said := backend.logs(UID, revision, container, mark, 16)).data:
        data, mark = data + said.data, said.mark
    return data


def test_orders_are_idempotent(place, shelf):
    backend, revision = place.begin(), a_revision(shelf, SCORE)
    for _ in range(3):
        backend.scale(UID, revision, 1, GRACE_S)
    (first,) = ready(backend)
    backend.scale(UID, revision, 1, GRACE_S)
    assert backend.observe(UID) == [first]
    assert place.answer(first, 7) == [7]
    for _ in range(3):
        backend.stop(UID, A, GRACE_S)
    until(lambda: not backend.observe(UID))
    backend.stop(UID, A, GRACE_S)
    backend.stop(OTHER, B, GRACE_S)
    backend.clean(UID)
    backend.clean(UID)


def test_there_are_as_many_as_were_asked_for(place, shelf):
    backend, revision = place.begin(), a_revision(shelf, SCORE)
    backend.scale(UID, revision, 2, GRACE_S)
    assert {one.instance for one in ready(backend, count=2)} == {0, 1}
    backend.scale(UID, revision, 3, GRACE_S)
    ready(backend, count=3)
    backend.scale(UID, revision, 1, GRACE_S)
    until(lambda: [one.instance for one in backend.observe(UID)] == [0])
    backend.scale(UID, revision, 2, GRACE_S)
    assert {one.instance for one in ready(backend, count=2)} == {0, 1}


def test_endpoints_and_revisions_are_apart(place, shelf):
    backend = place.begin()
    backend.scale(UID, a_revision(shelf, SCORE), 1, GRACE_S)
    backend.scale(UID, a_revision(shelf, SCORE, B), 1, GRACE_S)
    backend.scale(OTHER, a_revision(shelf, SCORE, "c" * 10), 1, GRACE_S)
    assert {one.revision for one in ready(backend, UID, 2)} == {A, B}
    ready(backend, OTHER)
    backend.stop(UID, A, GRACE_S)
    until(lambda: [one.revision for one in backend.observe(UID)] == [B])
    assert len(backend.observe(OTHER)) == 1


def test_nothing_is_lost_by_a_restart(place, shelf):
    backend = place.begin()
    backend.scale(UID, a_revision(shelf, SCORE), 1, GRACE_S)
    before = ready(backend)
    backend = place.begin()
    assert backend.observe(UID) == before
    assert place.answer(before[0], 1) == [1]
    until(lambda: b"hello from init" in backend.logs(UID, A, "inference-server").data)


def test_what_fails_says_so_and_keeps_its_log(place, shelf):
    backend = place.begin()
    broken = a_revision(shelf, "import absent_package\ndef init(): pass\ndef run(d): pass")
    backend.scale(UID, broken, 1, GRACE_S)
    backend.logs(UID, A, "inference-server")
    (seen,) = until(lambda: [one for one in backend.observe(UID) if one.state == "failed"])
    assert (seen.code, "absent_package" in seen.reason) == ("UserScriptImportError", True)
    until(lambda: b"absent_package" in backend.logs(UID, A, "inference-server").data)
    backend.stop(UID, A, GRACE_S)
    until(lambda: not backend.observe(UID))
    log = backend.logs(UID, A, "inference-server")
    assert b"absent_package" in log.data
    assert backend.logs(UID, A, "inference-server", log.mark).data == b""
    assert whole_log(backend, A) == log.data
    backend.clean(UID)
    assert backend.logs(UID, A, "inference-server").data == b""


def test_what_it_cannot_do_is_refused(place, shelf):
    backend = place.begin()
    with pytest.raises(Refused):
        backend.logs(UID, A, "no-such-container")
