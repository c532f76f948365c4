"""What every backend that serves keeps, whatever runs the instances. Add a backend to `SERVING`."""

import json
import urllib.request

import pytest

from ferryml.backends.local.serving import LocalServing
from ferryml.domain.errors import Refused
from fixtures_serving import ReadyMade, a_revision, until

UID, OTHER = "endpoint.ws.one", "endpoint.ws.two"
A, B = "a" * 10, "b" * 10
SCORE = "import json\ndef init(): print('hello from init')\ndef run(raw): return [json.loads(raw)]"


def _local(tmp_path, shelf, python):
    return lambda: LocalServing(tmp_path / "serving", shelf.at, ReadyMade(python))


SERVING = {"local": _local}


@pytest.fixture(params=SERVING)
def begin(request, tmp_path, shelf, server_python):
    """Starts the backend, again and again over the same state; the last one ends its work."""
    make, lives = SERVING[request.param](tmp_path, shelf, server_python), []

    def one():
        if lives:
            lives[-1].close(end=False)
        lives.append(make())
        return lives[-1]

    yield one
    lives[-1].close(end=True)


def ready(backend, uid: str = UID, count: int = 1):
    def look():
        seen = [one for one in backend.observe(uid) if one.state == "ready"]
        return seen if len(seen) == count else None

    return until(look)


def ask(port: int, body: object) -> object:
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/score", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=10) as said:
        return json.load(said)


def test_orders_are_idempotent(begin, shelf):
    backend, revision = begin(), a_revision(shelf, SCORE)
    for _ in range(3):
        backend.start(UID, revision, 0, None)
    (first,) = ready(backend)
    backend.start(UID, revision, 0, None)
    assert backend.observe(UID) == [first]
    assert ask(first.port, 7) == [7]
    for _ in range(3):
        backend.stop(UID, A, 0, 2)
    until(lambda: not backend.observe(UID))
    backend.stop(UID, A, 0, 2)
    backend.stop(OTHER, B, 9, 2)
    backend.clean(UID)
    backend.clean(UID)


def test_instances_and_endpoints_are_apart(begin, shelf):
    backend = begin()
    backend.start(UID, a_revision(shelf, SCORE), 0, None)
    backend.start(UID, a_revision(shelf, SCORE), 1, None)
    backend.start(OTHER, a_revision(shelf, SCORE, B), 0, None)
    ports = {one.port for one in [*ready(backend, UID, 2), *ready(backend, OTHER)]}
    assert len(ports) == 3
    backend.stop(UID, A, 1, 2)
    until(lambda: len(backend.observe(UID)) == 1)
    assert len(backend.observe(OTHER)) == 1


def test_nothing_is_lost_by_a_restart(begin, shelf):
    backend = begin()
    backend.start(UID, a_revision(shelf, SCORE), 0, None)
    before = ready(backend)
    backend = begin()
    assert backend.observe(UID) == before
    assert ask(before[0].port, 1) == [1]
    assert b"hello from init" in backend.logs(UID, A, "inference-server")


def test_what_fails_says_so_and_keeps_its_log(begin, shelf):
    backend = begin()
    backend.start(UID, a_revision(shelf, "import absent_package\ndef init(): pass\ndef run(d): pass"), 0, None)
    (seen,) = until(lambda: [one for one in backend.observe(UID) if one.state == "failed"])
    assert (seen.code, "absent_package" in seen.reason) == ("UserScriptImportError", True)
    backend.stop(UID, A, 0, 1)
    until(lambda: not backend.observe(UID))
    log = backend.logs(UID, A, "inference-server")
    assert b"absent_package" in log
    assert backend.logs(UID, A, "inference-server", len(log) - 5) == log[-5:]
    backend.clean(UID)
    assert backend.logs(UID, A, "inference-server") == b""


def test_what_it_cannot_do_is_refused(begin, shelf):
    backend = begin()
    with pytest.raises(Refused):
        backend.logs(UID, A, "no-such-container")
