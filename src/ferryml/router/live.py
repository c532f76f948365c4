"""The table as it is being served: routes that change under running requests without disturbing them."""

from __future__ import annotations

from collections.abc import Callable

from ferryml.domain.counters import Counters
from ferryml.domain.errors import NotFound
from ferryml.domain.routes import EndpointRoute, RevisionRoute, choose
from ferryml.router.slots import Pool
from ferryml.router.tally import Tally
from ferryml.router.tokens import verifier


class LiveRevision:
    """One revision's route with its line and its counters."""

    def __init__(self, route: RevisionRoute, boot: str) -> None:
        self.route = route
        self.pool = Pool()
        self.tally = Tally(boot)
        self.copies = 0
        """Mirrored copies under way or in line."""

    def update(self, route: RevisionRoute) -> None:
        """Take over a new route; counters and requests under way stay."""
        self.route = route
        self.pool.update(route.upstreams, route.max_concurrent_requests)


class LiveEndpoint:
    """One endpoint's route with its revisions."""

    def __init__(self, route: EndpointRoute, boot: str) -> None:
        self.route = route
        self.signed: Callable[[str], bool] | None = None
        """Looks at tokens; None where keys open."""
        self.revisions: dict[str, LiveRevision] = {}
        self.update(route, boot)

    def update(self, route: EndpointRoute, boot: str) -> None:
        """All at once: the next request sees the whole of the new route."""
        wanted = {revision.revision: revision for revision in route.revisions}
        for name in self.revisions.keys() - wanted.keys():
            gone = self.revisions.pop(name)
            gone.pool.update((), gone.route.max_concurrent_requests)
        for name, revision in wanted.items():
            if name not in self.revisions:
                self.revisions[name] = LiveRevision(revision, boot)
            self.revisions[name].update(revision)
        self.signed = verifier(route.uid, route.token_keys) if route.auth_mode == "aml_token" else None
        self.route = route

    def pick(self, deployment: str, draw: float) -> LiveRevision:
        """By name when one is given, else by weight; raises NotFound (NoValidDeployment)."""
        if deployment:
            revision = self.route.direct.get(deployment)
            if revision is None or revision not in self.revisions:
                raise NotFound(
                    "NoValidDeployment",
                    f"endpoint {self.route.name} has no deployment {deployment[:64]!r} that serves",
                    "See `ferry online-deployment list`.",
                )  # fmt: skip
            return self.revisions[revision]
        known = {name: weight for name, weight in self.route.weights.items() if name in self.revisions}
        chosen = choose(known, draw)
        if chosen is None:
            raise NotFound(
                "NoValidDeployment", f"no deployment of endpoint {self.route.name} has traffic",
                "Set traffic with `ferry online-endpoint update --traffic`, or name one with azureml-model-deployment.",
            )  # fmt: skip
        return self.revisions[chosen]

    def shadows(self, served: LiveRevision, draw: Callable[[], float]) -> list[LiveRevision]:
        """Who gets a copy of a request that `served` answered."""
        return [
            self.revisions[name]
            for name, percent in self.route.mirror.items()
            if name in self.revisions and self.revisions[name] is not served and draw() * 100 < percent
        ]

    def totals(self) -> dict[str, Counters]:
        """revision -> totals."""
        return {name: revision.tally.totals() for name, revision in self.revisions.items()}

    def recent(self) -> dict[str, Counters]:
        """revision -> what was added within the window."""
        return {name: revision.tally.recent() for name, revision in self.revisions.items()}

    def queued(self) -> dict[str, int]:
        """revision -> requests in line."""
        return {name: revision.pool.queued for name, revision in self.revisions.items()}

    def busy(self) -> dict[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way."""
        return {
            (name, *place): count
            for name, revision in self.revisions.items()
            for place, count in revision.pool.busy().items()
        }
