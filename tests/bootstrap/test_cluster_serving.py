"""Endpoints of a cluster, plugged together: a turn makes a Deployment, and what is seen becomes the status."""

from __future__ import annotations

from typing import Any

from ferryml.backends.kubernetes.jobs import NoExplainer
from ferryml.bootstrap.cluster_serving import ClusterParts, ClusterServing
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder
from ferryml.domain.routes import EndpointRoute
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import Accuracy, EndpointStatus
from ferryml.settings import ClusterSettings
from fixtures_serving import Shelf, a_revision, until
from kube_serving_play import NAMESPACE, PlayKubelet, PlayServing

UID, A = "endpoint.ws.one", "a" * 10


class Door:
    """The gateway as the agent sees it."""

    def __init__(self, play: PlayServing) -> None:
        self.renewed: list[str] = []
        self.predictions: list[tuple[str, ...]] = []
        self.append_log = play.door.append_log
        self.model = lambda key, grant: None
        self.admit_pods = play.door.admit_pods
        self.read = lambda digest, grant: b""

    def renew(self, uid: str, grant: str) -> None:
        self.renewed.append(uid)

    def dismiss(self, uid: str) -> None:
        self.renewed.remove(uid)

    def accuracy(self) -> dict[str, Any]:
        return {UID: {A: (Accuracy(labels=2, correct=1, predictions=3), Accuracy(labels=1, predictions=3))}}

    def put_predictions(self, given: list[tuple[str, ...]]) -> None:
        self.predictions += given

    def forget_predictions(self, uid: str) -> None:
        self.forgotten = uid


class OneRouter:
    """Serves what it is told at once, and counts nothing."""

    url = "https://scoring.example"

    def __init__(self) -> None:
        self.routes: dict[str, EndpointRoute] = {}
        self.captured: Any = None
        self.changed: Any = None
        self.follows = False

    def start(self) -> None:
        self.follows = True

    def stop(self) -> None:
        self.follows = False

    def apply(self, route: EndpointRoute) -> None:
        self.routes[route.uid] = route

    def drop(self, uid: str) -> None:
        self.routes.pop(uid, None)

    def totals(self, uid: str) -> dict[str, Any]:
        return {}

    def hears_all(self, uid: str) -> bool:
        return True

    recent = busy = queued = totals


def test_an_endpoint_becomes_pods_and_goes_with_all_of_them(shelf: Shelf) -> None:
    kubelet = PlayKubelet(shelf)
    play = PlayServing(kubelet, (UID,))
    door: Any = Door(play)
    backend = play.backend
    parts = ClusterParts(
        play.kube, play.watched, door, backend.environments, backend.cluster, play.ledger, NoExplainer()
    )
    router = OneRouter()
    woken: list[str] = []
    serving = ClusterServing(parts, router, ClusterSettings(), play.clock, woken.append)
    serving.start()
    revision = a_revision(shelf, "def init(): pass\ndef run(d): return [1]")
    order = EndpointOrder(
        workspace="ws", name="one", compute="c", namespace=NAMESPACE, revisions=(revision,), serving={"blue": A},
        traffic={"blue": 100},
    )  # fmt: skip
    stored: StoredStatus | None = None

    def turn(asked: EndpointOrder | None = order) -> Any:
        nonlocal stored
        wish = Wish(uid=UID, generation=1, cursor=1, order=asked, grant="g")
        play.clock.passes(1)
        play.ledger.take([wish], "e", 1)
        made = serving.agent.turn(wish, stored, play.clock())
        stored = StoredStatus(uid=UID, generation=1, version=1, status=made.status, memory=made.memory)
        return made.status

    def serves() -> EndpointStatus | None:
        status = turn()
        return status if status.revisions[0].ready else None

    status = until(serves)
    assert status.weights == router.routes[UID].weights | {A: 100}
    assert status.scoring_uri == "https://scoring.example/api/v1/endpoint/one/score"
    assert router.follows
    woken.clear()
    router.changed(UID)
    assert woken == [UID], "another load is looked at now"
    assert door.renewed == [UID]
    assert until(lambda: turn().accuracy)[A].correct == 1
    router.captured(UID, f"{A}-{'0' * 16}", A, "1")
    until(lambda: door.predictions)
    assert door.predictions[0][2:] == (A, "1")
    until(lambda: turn(None).kind == "Gone")
    assert play.watched.deployments.all() == []
    assert router.routes == {}
    assert door.forgotten == UID
    serving.stop()
    assert not router.follows
    play.close()
    kubelet.stop()
