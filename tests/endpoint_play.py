"""Endpoints over real use cases: people ask, a site answers its wishes in words, and loops turn."""

from __future__ import annotations

from typing import Any

from control_play import OWNER, WORKSPACE, Play
from ferryml.bootstrap.server import HOOKS
from ferryml.control import deployments, endpoints, link
from ferryml.control.loops import settle
from ferryml.domain.link import Report, Wish
from ferryml.domain.orders import EndpointOrder
from ferryml.domain.routes import key_id
from ferryml.domain.statuses import EndpointStatus, GoneStatus, RevisionStatus, RolloutStatus

NAME, UID = "digits", f"endpoint.{WORKSPACE}.digits"
SCORE = b"def init(): pass\ndef run(d): return [1]"


class EndpointPlay:
    """One endpoint `digits` on a site, `cloud`; `says` is how its site answers the wish that it has."""

    def __init__(self, play: Play, site: str = "cloud") -> None:
        self.play, self.deps, self.site = play, play.deps, site
        self.version = 0
        self.changes: dict[str, Any] = {}

    # what people do
    def endpoint(self, **fields: Any) -> Any:
        made = endpoints.create(self.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1", **fields})
        self.says()
        return made

    def code(self, body: bytes = SCORE) -> str:
        return f"content:tree:{self.play.folder({'score.py': body}).digest}:"

    def document(self, name: str = "blue", **changes: Any) -> dict[str, Any]:
        made = {
            "name": name, "endpoint_name": NAME, "environment": {"pip_requirements": ["numpy"]},
            "code_configuration": {"code": self.code(), "scoring_script": "score.py"},
        }  # fmt: skip
        return {**made, **changes}

    def deploy(self, name: str = "blue", all_traffic: bool = False, **changes: Any) -> Any:
        return deployments.create(self.deps, OWNER, WORKSPACE, NAME, self.document(name, **changes), all_traffic)

    def update(self, name: str = "blue", **changes: Any) -> Any:
        return deployments.update(self.deps, OWNER, WORKSPACE, NAME, name, changes)

    def serving(self, name: str = "blue", **changes: Any) -> str:
        """A deployment that serves; its revision."""
        self.deploy(name, **changes)
        self.says("promoted")
        self.says()
        return str(self.shown(name)["ferry"]["serving"])

    def traffic(self, **shares: int) -> None:
        endpoints.update(self.deps, OWNER, WORKSPACE, NAME, {"traffic": shares})
        self.says()

    # what they see
    def shown(self, name: str = "blue") -> Any:
        return deployments.show(self.deps, OWNER, WORKSPACE, NAME, name)

    def seen(self) -> Any:
        return endpoints.show(self.deps, OWNER, WORKSPACE, NAME)

    # what the site does
    def wish(self) -> Wish:
        return next(one for one in self.play.wishes(self.site).wishes if one.uid == UID)

    def order(self) -> EndpointOrder:
        order = self.wish().order
        assert isinstance(order, EndpointOrder)
        return order

    def says(self, rollout: str = "", ready: bool = True, generation: int | None = None, **status: Any) -> None:
        """One report on the present wish; `rollout` is the state of the rollout in it."""
        wish = self.wish()
        if wish.order is None:
            return self.report(GoneStatus(), wish.generation)
        order = self.order()
        told = {
            "state": "Succeeded", "scoring_uri": f"http://127.0.0.1:9/api/v1/endpoint/{NAME}/score",
            "revisions": tuple(
                RevisionStatus(
                    revision=one.revision, deployment=one.deployment, state="Succeeded",
                    ready=one.instances if ready else 0, wanted=one.instances,
                )
                for one in order.revisions
            ),
        }  # fmt: skip
        if rollout and order.rollout:
            told["rollout"] = RolloutStatus(
                rollout=order.rollout.rollout, state=rollout, since=self.play.dice.now(), reason=f"it {rollout}"
            )
        return self.report(EndpointStatus(**{**told, **status}), wish.generation if generation is None else generation)

    def accepts(self) -> None:
        """The site's router opens to what its present wish says."""
        pems = self.order().token_public_key.split("-----END PUBLIC KEY-----\n")[:-1]
        self.says(token_keys=tuple(key_id(f"{pem}-----END PUBLIC KEY-----\n") for pem in pems))

    def report(self, status: Any, generation: int, uid: str = UID) -> None:
        self.version += 1
        told = Report(uid=uid, generation=generation, version=self.version, status=status, at=self.play.dice.now())
        link.reports(self.deps, self.site, "", [told])
        while settle.tick(self.deps, HOOKS):
            pass
