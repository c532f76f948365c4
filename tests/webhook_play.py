"""Webhooks of the play's workspace, and an automation whose runs end quickly."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from control_play import OWNER, WORKSPACE, Play
from ferryml.control import assets, automations, webhooks
from ferryml.control.loops import automations as automation_loop
from ferryml.control.loops import webhooks as webhook_loop
from ferryml.testing.posts import Posted
from loop_play import a_loop

URL = "https://hooks.example/services/T0/hidden"
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
ONLY_MODELS = {
    "triggers": [{"type": "model", "asset": "azureml:partner"}], "create_job": None, "candidate": None,
    "evaluate": None, "gate": None, "rollout": None,
}  # fmt: skip
"""A run of it is triggered, gated, registered and promoted, without a site."""


class Hooks:
    """What people ask of webhooks, and turns of the loop that delivers."""

    def __init__(self, play: Play) -> None:
        self.play = play

    def make(self, name: str = "mlops", url: str = URL, **changes: Any) -> Any:
        return webhooks.create(self.play.deps, OWNER, WORKSPACE, {"name": name, "url": url, **changes})

    def shown(self, name: str = "mlops", caller: Any = OWNER) -> Any:
        return webhooks.show(self.play.deps, caller, WORKSPACE, name)

    def ours(self, name: str = "mlops") -> Any:
        return self.shown(name)["ferry"]

    def automation(self, name: str = "loop", on: tuple[str, ...] = (), hook: str = "mlops", **changes: Any) -> Any:
        """One that tells `hook` of `on`; it exists before its model does."""
        document = a_loop(**{**ONLY_MODELS, "notify": [{"webhook": hook, "on": list(on)}], **changes})
        return automations.put(self.play.deps, OWNER, WORKSPACE, name, document)

    def run(self) -> None:
        """A model from elsewhere comes, and what it fires runs to its end; nothing is delivered yet."""
        body = self.play.dice.id(8).encode()
        tree = self.play.folder({"m.bin": body})
        spec = {"name": "partner", "type": "custom_model", "path": f"content:tree:{tree.digest}:"}
        assets.create(self.play.deps, OWNER, WORKSPACE, "model", spec)
        while automation_loop.tick(self.play.deps):
            pass

    def tick(self) -> int:
        return webhook_loop.tick(self.play.deps)

    def turns(self) -> int:
        """Until nothing may be tried now; how many attempts."""
        done = 0
        while made := self.tick():
            done += made
        return done

    def after(self, seconds: float) -> int:
        self.play.dice.passes(seconds)
        return self.turns()

    def outbox(self) -> list[str]:
        with self.play.store.read() as tx:
            return [row.spec["event"] for row in tx.find("delivery", workspace=WORKSPACE)]

    def events(self, verb: str, subject: str | None = None) -> list[dict[str, Any]]:
        with self.play.store.read() as tx:
            return [one.details for one in tx.events(WORKSPACE, 0, 1000, subject) if one.verb == verb]


def verified(secret: str, post: Posted) -> bool:
    """As a receiver checks it: by the specification, without our code."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    good = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return f"v1,{good}" in post.headers["webhook-signature"].split(" ")
