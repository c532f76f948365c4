"""Endpoints of a cluster, plugged together: a turn makes a Deployment, and what is seen becomes the status."""

from __future__ import annotations

from typing import Any

from ferryml.bootstrap.cluster_serving import ClusterParts, ClusterServing
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import EndpointStatus
from ferryml.settings import ClusterSettings
from fixtures_serving import Shelf, a_revision, until
from kube_serving_play import NAMESPACE, PlayKubelet, PlayServing

UID, A = "endpoint.ws.one", "a" * 10


class Door:
    """The gateway as the agent sees it."""

    def __init__(self, play: PlayServing) -> None:
        self.renewed: list[str] = []
        self.append_log = play.door.append_log
        self.admit_pods = play.door.admit_pods

    def renew(self, uid: str, grant: str) -> None:
        self.renewed.append(uid)

    def dismiss(self, uid: str) -> None:
        self.renewed.remove(uid)


def test_an_endpoint_becomes_pods_and_goes_with_all_of_them(shelf: Shelf) -> None:
    kubelet = PlayKubelet(shelf)
    play = PlayServing(kubelet, (UID,))
    door: Any = Door(play)
    parts = ClusterParts(play.kube, play.watched, door, play.backend.environments, play.backend.cluster, play.ledger)
    serving = ClusterServing(parts, ClusterSettings(), play.clock, lambda uid: None)
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

    assert until(serves).weights == {A: 100}
    assert door.renewed == [UID]
    until(lambda: turn(None).kind == "Gone")
    assert play.watched.deployments.all() == []
    serving.stop()
    play.close()
    kubelet.stop()
