"""An endpoint's life on a site: real server, real router, the operator's turns by hand; only the link is missing."""

import hashlib
import json
import random
import shutil
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ferryml.agent.endpoints import EndpointAgent, EndpointHands, EndpointRules
from ferryml.backends.local.serving import LocalServing
from ferryml.backends.local.serving_captures import CaptureFile
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Wish
from ferryml.domain.orders import (
    DatastorePath,
    EndpointOrder,
    FeedbackOrder,
    ModelSource,
    RolloutOrder,
    RolloutStep,
)
from ferryml.domain.routes import key_id
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import GoneStatus
from ferryml.router.app import Router
from ferryml.router.haproxy.router import HaproxyRouter, Places
from ferryml.router.threaded import RouterThread
from ferryml.settings import RouterSettings
from fixtures_serving import ReadyMade, a_revision, until
from token_play import Signer

UID = "endpoint.ws.digits"
KEY = "secret"
A, B = "a" * 10, "b" * 10


def says(value: object) -> str:
    return f"def init(): pass\ndef run(d): return [{value!r}]"


class Door:
    """A gateway whose store is a shelf."""

    url = "http://127.0.0.1:1"

    def __init__(self, shelf) -> None:
        self.shelf = shelf
        self.logs: dict[str, bytes] = {}
        self.fetched: list[tuple[str, str]] = []
        self.away = False

    def renew(self, uid, grant): ...

    def dismiss(self, uid): ...

    def fetch(self, digest, grant):
        self.fetched.append((digest, grant))
        return self.shelf.at(digest)

    def model(self, key, grant):
        if self.away:
            raise Unavailable("Unavailable", "the gateway is away")
        return self.shelf.tree({"weights": b"7"}, name="m")

    def append_log(self, uid, attempt, path, data):
        self.logs[path] = self.logs.get(path, b"") + data


def local(put) -> RouterThread:
    dice = random.Random(3)
    return RouterThread(lambda: Router(RouterSettings(), dice.random, lambda: f"{dice.getrandbits(64):016x}", put))


class Swept(HaproxyRouter):
    """Its folder goes with it."""

    def stop(self, drain_s: float = 5) -> None:
        super().stop(drain_s)
        shutil.rmtree(self._places.run)


def haproxy(put) -> HaproxyRouter:
    dice = random.Random(3)
    base = Path(tempfile.mkdtemp(prefix="fr-"))  # the paths of sockets must be short
    places = Places(base / "files", base)
    return Swept(RouterSettings(), places, dice.random, lambda: f"{dice.getrandbits(64):016x}", put)


ROUTERS = {"local": local, "haproxy": haproxy}
"""Add a router here, and everything about an endpoint's life runs over it."""


class Site:
    """One site with one endpoint; `now` is moved by hand, and the router is the local one or HAProxy."""

    def __init__(self, path, shelf, python, router: str = "local") -> None:
        self._kind = router
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.shelf, self.path, self.python = shelf, path, python
        self.stored: StoredStatus | None = None
        self.generation = 0
        self.order: EndpointOrder | None = None
        self.door = Door(shelf)
        self.begin()

    def begin(self) -> None:
        self.captures = CaptureFile(self.path / "captures.db", lambda: self.now)
        self.router = ROUTERS[self._kind](self.captures.put)
        self.router.start("127.0.0.1", 0)
        environments = ReadyMade(self.python)
        self.backend = LocalServing(self.path / "serving", self.shelf.at, environments)
        hands = EndpointHands(self.backend, environments, self.door, self.router, self.captures)
        self.agent = EndpointAgent(hands, EndpointRules(drain_s=2, grace_s=2))

    def end(self, keep: bool = False) -> None:
        self.agent.close()
        self.router.stop(1)
        self.backend.close(end=not keep)
        self.captures.close()

    def wish(self, *revisions, rollout=None, serving=None, traffic=None, **more) -> None:
        self.generation += 1
        self.order = EndpointOrder(
            workspace="ws", name="digits", compute="local", key_hashes=(hashlib.sha256(KEY.encode()).hexdigest(),),
            revisions=revisions, rollout=rollout, serving=serving or {}, traffic=traffic or {}, **more,
        )  # fmt: skip

    def turn(self, order="same", uid=UID):
        self.now += timedelta(milliseconds=300)
        asked = self.order if order == "same" else order
        wish = Wish(uid=uid, generation=self.generation, cursor=1, order=asked, grant="grant")
        made = self.agent.turn(wish, self.stored if uid == UID else None, self.now)
        if uid == UID:
            self.stored = StoredStatus(
                uid=UID, generation=self.generation, version=1, status=made.status, memory=made.memory
            )
        return made.status

    def until(self, true, limit_s: float = 30):
        return until(lambda: (status := self.turn()) and true(status) and status, limit_s)

    def ask(self, body: object = None, **headers: str):
        kept = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
        url = f"{self.router.url}/api/v1/endpoint/digits/score"
        request = urllib.request.Request(url, json.dumps(body).encode(), kept)
        try:
            with urllib.request.urlopen(request, timeout=10) as said:
                return said.status, json.load(said), said.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers


@pytest.fixture(params=ROUTERS)
def site(request, tmp_path, shelf, server_python):
    if request.param == "haproxy":
        request.getfixturevalue("component")("haproxy")
    made = Site(tmp_path, shelf, server_python, request.param)
    yield made
    made.end()


def first(site: Site, value: object = "old") -> None:
    """Revision A serves all the traffic."""
    plan = RolloutOrder(rollout="r1", deployment="blue", champion=None, candidate=A)
    site.wish(a_revision(site.shelf, says(value), A), rollout=plan, traffic={"blue": 100})
    site.until(lambda status: status.rollout.state == "promoted")
    site.wish(a_revision(site.shelf, says(value), A), serving={"blue": A}, traffic={"blue": 100})
    site.until(lambda status: status.weights == {A: 100} and status.rollout is None)


def second(site: Site, score: str, **plan) -> None:
    """Revision B is to take over from A."""
    order = RolloutOrder(rollout="r2", deployment="blue", champion=A, candidate=B, **plan)
    old, new = a_revision(site.shelf, says("old"), A), a_revision(site.shelf, score, B)
    site.wish(old, new, rollout=order, serving={"blue": A}, traffic={"blue": 100})


def test_the_site_says_whose_tokens_open_it(site):
    one, other = Signer(), Signer()
    site.wish(auth_mode="aml_token", token_public_key=one.public + other.public)
    assert site.turn().token_keys == (key_id(one.public), key_id(other.public))
    site.wish()
    assert site.turn().token_keys == ()


def test_from_nothing_to_an_answer_and_gone(site):
    site.wish()
    status = site.turn()
    assert (status.state, status.scoring_uri) == ("Succeeded", f"{site.router.url}/api/v1/endpoint/digits/score")
    assert site.ask()[0] == 404
    first(site)
    code, said, headers = site.ask()
    assert (code, said, headers["azureml-model-deployment"]) == (200, ["old"], "blue")
    assert site.door.fetched[0][1] == "grant"
    log = f"deployments/blue/{A}/inference-server.log"
    site.until(lambda _: b"ready for serving" in site.door.logs.get(log, b""))
    assert site.backend.logs(UID, A, "inference-server").data.startswith(site.door.logs[log])
    until(lambda: isinstance(site.turn(None), GoneStatus))
    assert site.ask()[0] == 404
    assert site.backend.observe(UID) == []


def test_an_update_switches_when_the_new_one_is_ready(site):
    first(site)
    second(site, says("new"))
    answers = []
    status = site.until(lambda status: answers.append(site.ask()[:2]) or status.rollout.state == "promoted")
    assert {code for code, _ in answers} == {200}
    assert status.weights == {B: 100}
    assert site.ask()[1] == ["new"]
    site.wish(a_revision(site.shelf, says("new"), B), serving={"blue": B}, traffic={"blue": 100})
    site.until(lambda _: {one.revision for one in site.backend.observe(UID)} == {B})
    assert site.ask()[1] == ["new"]


def test_a_failing_update_leaves_the_old_one_alone(site):
    first(site)
    (before,) = site.backend.observe(UID)
    second(site, "def init(): raise RuntimeError('no weights')\ndef run(d): pass")
    status = site.until(lambda status: status.rollout.state == "failed")
    assert "no weights" in status.rollout.reason
    new = next(one for one in status.revisions if one.revision == B)
    assert (new.state, new.code) == ("Failed", "UserScriptInitFailed")
    assert "Traceback" in new.traceback
    assert status.weights == {A: 100}
    site.until(lambda _: len(site.backend.observe(UID)) == 1)
    (after,) = site.backend.observe(UID)
    assert after == before
    assert site.ask()[1] == ["old"]
    assert b"no weights" in site.backend.logs(UID, B, "inference-server").data


def test_a_bad_canary_is_rolled_back_by_the_site_alone(site):
    first(site)
    steps = (RolloutStep(percent=50, min_requests=1000),)
    second(site, "def init(): pass\ndef run(d): raise ValueError('bad')", steps=steps, max_error_rate=0.1)
    site.until(lambda status: status.rollout.state == "stepping" and status.weights == {A: 50, B: 50})

    def asked(status) -> bool:
        site.ask()
        return status.rollout.state == "rolled_back"

    status = site.until(asked)
    assert "error rate" in status.rollout.reason
    assert status.rollout.evidence[-1].figures["candidate"]["errors"] >= 3
    assert status.weights == {A: 100}
    assert [site.ask()[:2] for _ in range(5)] == [(200, ["old"])] * 5


def test_mirror_then_step_then_promotion(site):
    first(site)
    steps = (RolloutStep(percent=100, min_requests=2),)
    second(site, says("new"), mirror_percent=100, mirror_min_requests=2, steps=steps)
    site.until(lambda status: status.rollout.state == "mirroring")
    assert site.ask()[1] == ["old"]
    status = site.until(lambda status: site.ask() and status.rollout.state == "promoted")
    assert status.counters[B]["mirrored"] >= 2
    assert status.counters[B]["mismatches"] >= 2
    assert status.rollout.evidence[-1].transition == "step 100 % -> promoted"


def test_a_restart_goes_on_where_it_was(site):
    first(site)
    second(site, says("new"), steps=(RolloutStep(percent=50, min_requests=100_000),))
    site.until(lambda status: status.rollout.state == "stepping")
    before = {one.pid for one in site.backend.observe(UID)}
    site.end(keep=True)
    site.begin()
    status = site.turn()
    assert status.weights == {A: 50, B: 50}
    assert {one.pid for one in site.backend.observe(UID)} == before
    assert {site.ask()[1][0] for _ in range(30)} == {"old", "new"}


def test_labels_make_accuracy(site):
    first(site, 7)
    ids = [site.ask()[2]["x-request-id"] for _ in range(4)]
    labels = ((ids[0], "7"), (ids[1], '"7"'), (ids[2], "3"), ("nobody", "1"))
    feedback = FeedbackOrder(workspace="ws", endpoint="digits", labels=labels)
    status = until(lambda: (told := site.turn(feedback, uid="feedback.x1")).matched == 3 and told)  # taps need a moment
    assert status.unmatched == 1
    site.until(lambda status: status.accuracy[A].predictions == 4)
    seen = site.turn().accuracy[A]
    assert (seen.labels, seen.correct, seen.predictions) == (3, 2, 4)
    assert site.turn(feedback, uid="feedback.x1").matched == 3
    assert site.turn().recent_accuracy[A].labels == 3
    other = FeedbackOrder(workspace="ws", endpoint="digits", labels=((ids[2], "7"),))
    site.turn(other, uid="feedback.x2")
    assert site.turn().accuracy[A].correct == 3


def test_load_makes_instances(site):
    slow = "import time\ndef init(): pass\ndef run(d):\n    time.sleep(0.5)\n    return [1]"
    asked = a_revision(site.shelf, slow, A, max_instances=2, target_utilization=70, max_queue_wait_ms=5000)
    site.wish(asked, serving={"blue": A}, traffic={"blue": 100})
    site.until(lambda status: status.revisions[0].ready == 1)
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(site.ask) for _ in range(12)]
        site.until(lambda status: status.revisions[0].wanted == 2)
        assert {one.result()[0] for one in answers} == {200}
    site.until(lambda _: len(site.backend.observe(UID)) == 1)


def test_fewer_instances_drain_first(site):
    first(site)
    site.wish(a_revision(site.shelf, says("old"), A, instances=2), serving={"blue": A}, traffic={"blue": 100})
    site.until(lambda status: status.revisions[0].ready == 2)
    site.wish(a_revision(site.shelf, says("old"), A), serving={"blue": A}, traffic={"blue": 100})
    answers = []
    site.until(lambda _: answers.append(site.ask()[0]) or len(site.backend.observe(UID)) == 1)
    assert set(answers) == {200}


def test_nothing_is_taken_away_before_the_router_has_heard(site, monkeypatch):
    first(site)
    site.wish(a_revision(site.shelf, says("old"), A, instances=2), serving={"blue": A}, traffic={"blue": 100})
    site.until(lambda status: status.revisions[0].ready == 2)
    away = Unavailable("Unavailable", "no router answers")

    def unheard(route):
        raise away

    monkeypatch.setattr(site.router, "apply", unheard)
    site.wish(a_revision(site.shelf, says("old"), A), serving={"blue": A}, traffic={"blue": 100})
    for _ in range(12):
        status = site.turn()
    assert (status.code, len(site.backend.observe(UID))) == ("Unavailable", 2)
    monkeypatch.undo()
    site.until(lambda _: len(site.backend.observe(UID)) == 1)


def test_what_the_site_refuses_fails_the_new_revision_alone(site):
    first(site)
    new = a_revision(site.shelf, "", B, flavor="triton")
    plan = RolloutOrder(rollout="r2", deployment="blue", champion=A, candidate=B)
    site.wish(a_revision(site.shelf, says("old"), A), new, rollout=plan, serving={"blue": A}, traffic={"blue": 100})
    status = site.until(lambda status: status.rollout.state == "failed")
    assert "Triton" in status.rollout.reason
    assert next(one for one in status.revisions if one.revision == B).code == "NotSupported"
    assert site.ask()[1] == ["old"]


def test_a_gateway_that_is_away_keeps_nobody_from_serving(site, monkeypatch):
    first(site)

    def away(uid, grant):
        raise Unavailable("Unavailable", "the gateway is away")

    monkeypatch.setattr(site.door, "renew", away)
    site.wish(a_revision(site.shelf, says("old"), A), serving={"blue": A}, traffic={"blue": 100})
    assert site.turn().weights == {A: 100}


READS = """
import os

def init():
    global said
    said = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "m", "weights")).read()

def run(raw):
    return [said]
"""


def test_a_model_on_a_datastore_serves_also_while_nobody_says_which_it_is(site):
    """After a restart of the agent the gateway is asked again; what runs is not made anew without its model."""
    place = DatastorePath(datastore="shelf", kind="local", root="/r", path="m")
    source = ModelSource(place=place, key="model:m:1")
    revision = a_revision(site.shelf, READS, A, model_name="model:m:1", model_source=source)
    plan = RolloutOrder(rollout="r1", deployment="blue", champion=None, candidate=A)
    site.wish(revision, rollout=plan, traffic={"blue": 100})
    site.until(lambda status: status.rollout.state == "promoted")
    site.wish(revision, serving={"blue": A}, traffic={"blue": 100})
    site.until(lambda status: status.weights == {A: 100})
    assert site.ask()[1] == ["7"]
    site.end(keep=True)
    site.door.away = True
    site.begin()
    site.until(lambda status: status.weights == {A: 100})
    assert until(lambda: site.turn() and site.ask()[0] == 200, 20)
    site.door.away = False
    site.until(lambda status: status.revisions[0].state == "Succeeded")
