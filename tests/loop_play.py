"""Rollouts and automations over real use cases: endpoints on several sites answer as told, and loops turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from control_play import OWNER, WORKSPACE, Play
from ferryml.bootstrap.server import HOOKS
from ferryml.control import assets, automations, deployments, endpoints, link, rollouts
from ferryml.control.loops import automations as automation_loop
from ferryml.control.loops import rollouts as rollout_loop
from ferryml.control.loops import settle
from ferryml.control.ports import Kind
from ferryml.domain.link import Report
from ferryml.domain.orders import EndpointOrder, TreeRef
from ferryml.domain.statuses import Accuracy, EndpointStatus, Evidence, RevisionStatus, RolloutStatus

COMMAND = {"name": "blue", "command": "serve ${{port}}", "environment": {"image": "python:3"}}
"""A deployment that needs nothing but its own command."""


@contextmanager
def never_written(play: Play, kind: Kind, name: str) -> Iterator[None]:
    """As if the server had been killed before it wrote that row: everything else that was done stays done."""
    with play.store.read() as tx:
        before = tx.get(kind, WORKSPACE, name)
    yield
    with play.store.begin() as tx:
        after = tx.get(kind, WORKSPACE, name)
        assert before is not None
        assert after is not None
        tx.update(after.model_copy(update={"status": before.status, "phase": before.phase}))


class Point:
    """One endpoint on one site."""

    def __init__(self, play: Play, name: str = "digits", site: str = "cloud", compute: str = "c1") -> None:
        self.play, self.name, self.site, self._version = play, name, site, 0
        endpoints.create(play.deps, OWNER, WORKSPACE, {"name": name, "compute": compute})
        self.says()

    def serves(self, **changes: Any) -> Point:
        """A champion that has all traffic."""
        deployments.create(self.play.deps, OWNER, WORKSPACE, self.name, {**COMMAND, **changes}, True)
        self.says("promoted")
        self.says()
        return self

    @property
    def order(self) -> EndpointOrder:
        uid = f"endpoint.{WORKSPACE}.{self.name}"
        order = next(one.order for one in self.play.wishes(self.site).wishes if one.uid == uid)
        assert isinstance(order, EndpointOrder)
        return order

    @property
    def rollout(self) -> str:
        """Name of the rollout that the site was told to carry out."""
        return self.order.rollout.rollout if self.order.rollout else ""

    @property
    def model(self) -> str:
        """What the row says that serves, by the variable WHO."""
        row = deployments.show(self.play.deps, OWNER, WORKSPACE, self.name, "blue")
        [spec] = [one for one in self.order.revisions if one.revision == row["ferry"]["serving"]]
        return spec.environment_variables.get("WHO", "") or spec.model_name

    def says(self, state: str = "", right: int = 0, labels: int = 0, **rollout: Any) -> None:
        """A report on the present wish, with the rollout in that state, taken up by the server."""
        uid = f"endpoint.{WORKSPACE}.{self.name}"
        wish = next(one for one in self.play.wishes(self.site).wishes if one.uid == uid)
        order, at = self.order, self.play.dice.now()
        revisions = tuple(
            RevisionStatus(revision=one.revision, deployment=one.deployment, state="Succeeded", ready=1, wanted=1)
            for one in order.revisions
        )
        told = None
        if state and order.rollout:
            moved = Evidence(at=at, transition=f"-> {state}", reason=f"it {state}", figures={"requests": 1})
            told = RolloutStatus(
                rollout=order.rollout.rollout, state=state, since=at, reason=f"it {state}", evidence=(moved,), **rollout
            )
        weights = dict.fromkeys(order.serving.values(), 100)
        figures = {revision: Accuracy(labels=labels, correct=right) for revision in weights} if labels else {}
        status = EndpointStatus(
            state="Succeeded", scoring_uri="http://127.0.0.1:9/score", revisions=revisions, weights=weights,
            rollout=told, accuracy=figures, recent_accuracy=figures,
        )  # fmt: skip
        self._version += 1
        report = Report(uid=uid, generation=wish.generation, version=self._version, status=status, at=at)
        link.reports(self.play.deps, self.site, "", [report])
        while settle.tick(self.play.deps, HOOKS):
            pass


def plan(*names: str, who: str = "new", **changes: Any) -> dict[str, Any]:
    """A rollout of a deployment whose variable WHO tells it from others."""
    deployment = {**COMMAND, "environment_variables": {"WHO": who}}
    return {
        "name": "r1", "deployment": deployment, "endpoints": list(names or ("digits",)), "keep_previous": 3600,
        **changes,
    }  # fmt: skip


def begun(play: Play, *names: str, **changes: Any) -> Any:
    """A rollout that the loop has taken up."""
    made = rollouts.create(play.deps, OWNER, WORKSPACE, plan(*names, **changes))
    rolls(play)
    return made


def rolls(play: Play) -> None:
    while rollout_loop.tick(play.deps):
        pass


def rollout(play: Play, name: str = "r1") -> Any:
    return rollouts.show(play.deps, OWNER, WORKSPACE, name)


def states(play: Play, name: str = "r1") -> dict[str, str]:
    return {point: told["state"] for point, told in rollout(play, name)["ferry"]["endpoints"].items()}


TRAIN = {
    "type": "command", "command": "train ${{inputs.data}} ${{outputs.model}}", "compute": "c1",
    "environment": {"image": "python:3"}, "inputs": {"data": {"type": "uri_folder", "path": "azureml:digits@latest"}},
    "outputs": {"model": {"type": "custom_model"}},
}  # fmt: skip
EVALUATE = {
    "type": "command", "command": "evaluate ${{inputs.candidate}} $[[${{inputs.champion}}]]", "compute": "c1",
    "environment": {"image": "python:3"},
    "inputs": {"candidate": {"type": "custom_model"}, "champion": {"type": "custom_model", "optional": True}},
}  # fmt: skip


def a_loop(**changes: Any) -> dict[str, Any]:
    """An automation from new data to endpoint `digits`."""
    return {
        "triggers": [{"type": "data", "asset": "azureml:digits"}],
        "create_job": {"job": TRAIN, "inputs": {"data": "${{trigger.data}}"}},
        "candidate": {"output": "model", "name": "m"}, "evaluate": {"job": EVALUATE},
        "gate": {"primary_metric": "accuracy", "min_improvement": 0.01},
        "rollout": {"deployment": COMMAND, "endpoints": ["digits"]},
        **changes,
    }  # fmt: skip


class LoopPlay:
    """One automation `loop` on site `cloud`; `turns` lets every loop of the server rest."""

    def __init__(self, play: Play, **changes: Any) -> None:
        self.play = play
        self.data()
        self.put(**changes)

    def put(self, **changes: Any) -> Any:
        return automations.put(self.play.deps, OWNER, WORKSPACE, "loop", a_loop(**changes))

    def data(self, body: bytes = b"x", name: str = "digits") -> None:
        """A new version of the data asset."""
        tree = self.play.folder({"d.txt": body})
        spec = {"name": name, "type": "uri_folder", "path": f"content:tree:{tree.digest}:"}
        assets.create(self.play.deps, OWNER, WORKSPACE, "data", spec)

    def model(self, name: str = "partner", body: bytes = b"p") -> None:
        """A model made elsewhere."""
        tree = self.play.folder({"m.bin": body})
        spec = {"name": name, "type": "custom_model", "path": f"content:tree:{tree.digest}:"}
        assets.create(self.play.deps, OWNER, WORKSPACE, "model", spec)

    def turns(self) -> None:
        for _ in range(20):
            self.play.turns()
            if not automation_loop.tick(self.play.deps) + rollout_loop.tick(self.play.deps):
                return

    def ends(self, step: str, run: int = 1, phase: str = "Completed", **metrics: float) -> None:
        """The site has carried out a job of the run, and the run goes on."""
        self.tells(step, run, phase, **metrics)
        self.turns()

    def tells(self, step: str, run: int = 1, phase: str = "Completed", **metrics: float) -> None:
        """The site has carried out a job of the run; only its report is taken up."""
        name = f"loop-{run}-{step}"
        ident = self.play.shown(name)["ferry"]["mlflow_run_id"]
        self.play.tracking.runs[ident].metrics.update(metrics)
        tree: TreeRef = self.play.folder({"model.bin": b"m%d" % run})
        outputs = {"model": {"tree": tree.model_dump()}} if step == "train" and phase == "Completed" else {}
        self.play.reports("cloud", name, phase, version=9, outputs=outputs)
        self.play.turns()

    def runs(self) -> list[Any]:
        return list(automations.history(self.play.deps, OWNER, WORKSPACE, "loop", 0, 100)["items"])

    def run(self, number: int = 1) -> Any:
        return next((one for one in self.runs() if one["run"] == str(number)), None)

    def state(self, number: int = 1) -> str:
        run = self.run(number)
        return str(run["state"]) if run else ""
