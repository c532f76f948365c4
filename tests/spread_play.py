"""An endpoint on two computes over real use cases: two sites that answer in words, go away, and return."""

from __future__ import annotations

from typing import Any

from control_play import OWNER, WORKSPACE, Play
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.control import spread_deployments as deployments
from ferryml.control import spread_endpoints as endpoints
from ferryml.control.loops import offline, rollouts, spread
from ferryml.control.serving_wishes import need_endpoint
from ferryml.control.spread import Look, look

SITES = {"c1": "cloud", "c2": "edge"}


class SpreadPlay:
    """Endpoint `digits` on `c1` (site cloud) and `c2` (site edge)."""

    def __init__(self, play: Play, zone: str = "") -> None:
        self.play, self.deps = play, play.deps
        self.sites = {compute: EndpointPlay(play, site) for compute, site in SITES.items()}
        self.away: set[str] = set()
        self.told: dict[str, int] = {}
        for compute, site in SITES.items():
            play.site(site, zone if site == "edge" else "", compute=compute, consent=True)

    def looked(self) -> Look:
        """The endpoint as the loop reads it."""
        with self.deps.store.read() as tx:
            return look(tx, need_endpoint(tx, WORKSPACE, NAME))

    # what people do
    def endpoint(self, **fields: Any) -> Any:
        document = {"name": NAME, "compute": ["azureml:c1", "c2"], **fields}
        return endpoints.create(self.deps, OWNER, WORKSPACE, document)

    def deploy(self, name: str = "blue", all_traffic: bool = False, **changes: Any) -> Any:
        document = self.sites["c1"].document(name, **changes)
        return deployments.create(self.deps, OWNER, WORKSPACE, NAME, document, all_traffic)

    def update(self, **changes: Any) -> Any:
        return endpoints.update(self.deps, OWNER, WORKSPACE, NAME, changes)

    def renew(self, name: str = "blue", **changes: Any) -> Any:
        return deployments.update(self.deps, OWNER, WORKSPACE, NAME, name, changes)

    def serving(self, name: str = "blue") -> None:
        """The endpoint with a deployment that has all traffic, everywhere."""
        self.endpoint()
        self.calm()
        self.deploy(name, all_traffic=True)
        self.calm()

    # what they see
    def seen(self) -> Any:
        return endpoints.show(self.deps, OWNER, WORKSPACE, NAME)

    def at(self, compute: str) -> Any:
        return self.seen()["ferry"]["sites"][compute]

    def shown(self, name: str = "blue") -> Any:
        return deployments.show(self.deps, OWNER, WORKSPACE, NAME, name)

    # what sites and loops do
    def turns(self) -> None:
        while spread.tick(self.deps) + rollouts.tick(self.deps):
            pass

    def has(self, compute: str) -> bool:
        return any(one.uid == UID for one in self.play.wishes(SITES[compute]).wishes)

    def says(self, compute: str, rollout: str = "promoted", **status: Any) -> None:
        """The site answers the wish that it has, if it has one and is there."""
        if compute not in self.away and self.has(compute):
            self.sites[compute].says(rollout, **status)

    def calm(self) -> None:
        """Sites and loops go on until nothing is left to do."""
        told, before = self.generations(), None
        while told != before:
            before = told
            self.turns()
            for compute, generation in self.generations().items():
                if compute not in self.away and self.told.get(compute) != generation:
                    self.told[compute] = generation
                    self.says(compute)
            self.turns()
            told = self.generations()

    def generations(self) -> dict[str, int]:
        """compute -> generation of the wish that its site has."""
        return {compute: self.sites[compute].wish().generation for compute in SITES if self.has(compute)}

    def goes(self, compute: str) -> None:
        """Its site falls silent."""
        self.away.add(compute)
        self.play.dice.passes(self.deps.settings.site_offline_s + 1)
        for other, site in SITES.items():
            if other not in self.away:
                self.play.beat(site, accept_zone_bound=True)
        offline.tick(self.deps)

    def returns(self, compute: str) -> None:
        self.away.discard(compute)
        self.play.beat(SITES[compute], accept_zone_bound=True)
