"""`ferry demo`: train, serve, notice, retrain, prove, roll out, refuse; each step really done and checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from ferryml.cli.demo.stage import Stage
from ferryml.cli.demo.traffic import Scored, Traffic, accuracy, images, score
from ferryml.domain.errors import Defect, FerryError, Refused
from ferryml.domain.spec.endpoint import OnlineEndpoint
from ferryml.sdk.client import Client
from ferryml.sdk.flow import Json
from ferryml.sdk.load import load_automation, load_deployment, load_endpoint, load_job


def main(keep: bool = False, place: Callable[[Path, bool], Stage] = Stage) -> int:
    """Runs the whole loop; 0 when every step was as it should be. `keep` leaves everything running.

    Args:
        place: what makes the stage: two sites of this machine, or two clusters.
    """
    with place((Path(".ferry") / "demo").resolve(), keep) as stage:
        try:
            Demo(stage).run()
        except FerryError as error:
            stage.say(f"[{error.code}] {error.message}", mark="x")
            print(stage.tails(), file=sys.stderr)
            stage.stop()
            return 1
        stage.title(f"All as it should be, after {stage.elapsed_s:.0f} s.")
        if keep:
            _how_to_look_around(stage)
    return 0


class Demo:
    """One telling of the story."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.client: Client
        self.uri, self.key = "", ""
        self._partner: Callable[[], None] = lambda: None
        self.http: httpx.Client

    def run(self) -> None:
        """The chapters, in order."""
        self.open_sites()
        self.train_in_the_cloud()
        self.serve_on_premises()
        before = self.the_world_changes()
        self.close_the_loop(before)
        self.refuse_a_spoiled_model()
        self.roll_back_a_slow_model()
        self.keep_bound_data_home()
        self.trace_a_prediction()

    def open_sites(self) -> None:
        """A server, two sites that dial in, and where data lives."""
        stage = self.stage
        stage.title("Two sites join one workspace")
        made_data = stage.script("make_data.py", str(stage.data))
        self.client = stage.serve()
        stage.say(f"the server answers at {stage.url}")
        stage.join(self.client)
        stage.say("cloud and onprem dialled in; nobody dialled them")
        made_data()
        stage.keep_data(self.client)
        self.client.data.create({"name": "digits", "type": "uri_folder", "path": str(stage.data / "clean")})

    def train_in_the_cloud(self) -> None:
        """Pattern one: train in the cloud."""
        self.stage.title("Train in the cloud, serve on-premises")
        job = self.client.jobs.create(load_job(self.stage.project / "train.yml", warn=self._warn))
        self.client.online_endpoints.create(self._endpoint())
        job = self._finished(job["name"])
        model = {
            "name": "digits-model", "type": "custom_model", "path": f"azureml://jobs/{job['name']}/outputs/model",
        }  # fmt: skip
        made = self.client.models.create(model)
        self.stage.say(f"job {job['name']} trained on cloud; registered as digits-model:{made['version']}")

    def serve_on_premises(self) -> None:
        """... and serve where the users are."""
        project = self.stage.project
        self.client.online_endpoints.wait("digits")
        self.client.online_deployments.create(
            "digits", load_deployment(project / "deployment.yml", warn=self._warn), all_traffic=True
        )
        deployment = self.client.online_deployments.wait("digits", "blue")
        self._expect(deployment["provisioning_state"] == "Succeeded", f"deployment blue: {deployment.get('ferry')}")
        self.uri = self.client.online_endpoints.wait("digits")["scoring_uri"]
        self.key = self.client.online_endpoints.keys("digits")["primaryKey"]
        self.http = httpx.Client(trust_env=False, verify=self.stage.trusted())
        scored = self._score("clean-live.csv", 100)
        self.stage.say(f"endpoint digits serves on onprem at {self.uri}")
        self.stage.say(f"100 real images scored: {accuracy(scored):.0%} right, no image left the plant")
        self._expect(accuracy(scored) > 0.85, "the first model is not good enough")

    def the_world_changes(self) -> float:
        """A scanner is moved; labels show what it does to the model."""
        self.stage.title("The scanner was moved: images arrive turned and noisy")
        self._partner = self._train_elsewhere()
        scored = self._score("drifted-live.csv", 150)
        before = accuracy(scored)
        self._give_labels(scored)
        live = self._live_accuracy(len(scored))
        self.stage.say(f"live accuracy fell to {live:.0%}, from {len(scored)} labels given by request id")
        self._expect(abs(live - before) < 0.02, f"feedback counted {live}, the demo {before}")
        self._expect(live < 0.6, "the drift did no harm")
        return live

    def close_the_loop(self, before: float) -> None:
        """New data arrives, bound to its site; everything else happens by itself."""
        client, stage = self.client, self.stage
        test = "azureml://datastores/plant/paths/drifted-test"
        release = {"models": "allow", "metrics": "allow", "params": "allow", "logs": "allow", "artifacts": "deny"}
        bound = {"type": "uri_folder", "zones": ["onprem"], "release": release}
        client.data.create({"name": "digits-test", "path": test, **bound})
        automation = load_automation(stage.project / "automation.yml", warn=self._warn)
        client.automations.put("digits-loop", automation)
        new = "azureml://datastores/plant/paths/drifted"
        made = client.data.create({"name": "digits", "path": new, **bound})
        stage.say(f"digits:{made['version']} arrived on onprem, bound to zone onprem; automation digits-loop watches")
        with self._traffic() as traffic:
            run = self._watch_run("1")
            failed, total = traffic.failed(), len(traffic.answers())
        self._expect(run["state"] == "promoted", f"run 1 ended {run['state']}: {run['reason']}")
        self._expect(failed == 0, f"{failed} of {total} requests failed during the rollout")
        job = client.jobs.get("digits-loop-1-train")
        self._expect(job["compute"] == "onprem", f"retraining ran on {job['compute']}")
        scored = self._score("drifted-live.csv", 150)
        self._give_labels(scored)
        live = self._live_accuracy(len(scored))
        stage.say(
            f"live accuracy before {before:.0%}, now {live:.0%}; {total} requests meanwhile, none failed", mark="*"
        )
        self._expect(live > before + 0.2, "the new model is not better where it counts")

    def refuse_a_spoiled_model(self) -> None:
        """A model from elsewhere that learnt wrong labels never sees a request."""
        self.stage.title("A partner sends a spoiled model")
        self._partner_model("spoiled")
        run = self._watch_run("2")
        self._expect(run["state"] == "rejected", f"the spoiled model ended {run['state']}: {run['reason']}")

    def roll_back_a_slow_model(self) -> None:
        """A better but slow one passes the gate and fails under real traffic."""
        self.stage.title("The partner sends a better, but slow model")
        self._partner_model("slow")
        with self._traffic() as traffic:
            run = self._watch_run("3")
            failed = traffic.failed()
        self._expect(run["state"] == "rolled_back", f"the slow model ended {run['state']}: {run['reason']}")
        self._expect(failed == 0, f"{failed} requests failed during the rollback")

    def keep_bound_data_home(self) -> None:
        """What is bound to onprem does not run in the cloud."""
        self.stage.title("Somebody tries to train in the cloud with the plant's data")
        job = load_job(
            self.stage.project / "train.yml", ["inputs.data.path=azureml:digits:2", "compute=azureml:cloud"],
            warn=self._warn,
        )  # fmt: skip
        try:
            self.client.jobs.create(job)
        except Refused as error:
            self._expect(error.code == "ResidencyViolation", f"refused for another reason: {error.code}")
            self.stage.say(f"refused: {error.message}")
        else:
            raise Defect("Internal", "bound data was accepted in the cloud")

    def trace_a_prediction(self) -> None:
        """From an answer back to the data."""
        self.stage.title("Where does this answer come from?")
        [scored] = self._score("drifted-live.csv", 1)
        trace = self.client.trace(scored.request_id)
        text = self.stage.ferry("trace", scored.request_id)
        self.stage.say(f"ferry trace {scored.request_id}")
        print(_indented(text), flush=True)
        for word in ("digits-model:2", "digits-loop-1-train", "digits:2"):
            self._expect(word in str(trace), f"the trace does not name {word}")

    # ---- helpers -----------------------------------------------------------------------------------------------

    def _endpoint(self) -> OnlineEndpoint:
        return load_endpoint(self.stage.project / "endpoint.yml", warn=self._warn)

    def _warn(self, text: str) -> None:
        self.stage.say(text, mark="!")

    def _expect(self, true: bool, otherwise: str) -> None:
        if not true:
            raise Defect("Internal", otherwise)

    def _finished(self, name: str) -> Json:
        job = self.client.jobs.wait(name)
        self._expect(job["status"] == "Completed", f"job {name} is {job['status']}: {job.get('ferry')}")
        return job

    def _score(self, file: str, count: int) -> list[Scored]:
        found = [score(self.http, self.uri, self.key, image) for image in images(self.stage.data / file)[:count]]
        bad = [one.status for one in found if one.status != 200]
        self._expect(not bad, f"scoring answered {bad[:3]}")
        return found

    def _give_labels(self, scored: list[Scored]) -> None:
        self.client.online_endpoints.feedback("digits", [(one.request_id, one.label) for one in scored])

    def _live_accuracy(self, labels: int) -> float:
        found: Json = {}

        def arrived() -> bool:
            figures = self.client.online_endpoints.stats("digits")["deployments"]["blue"]
            found.update(figures.get("accuracy") or {})
            return int(found.get("labels", 0)) >= labels

        self.stage.until("the labels' figures", arrived)
        return float(found["value"])

    def _traffic(self) -> Traffic:
        source = images(self.stage.data / "drifted-live.csv")
        return Traffic(self.uri, self.key, source, pause_s=self.stage.pause_s, trusted=self.stage.trusted())

    def _train_elsewhere(self) -> Callable[[], None]:
        """A partner with a machine of their own; what they do there is not Ferry's."""
        return self.stage.script("partner.py", str(self.stage.data / "drifted"), str(self.stage.root / "partner"))

    def _partner_model(self, name: str) -> None:
        self._partner()
        folder = self.stage.root / "partner" / name
        made = self.client.models.create({"name": "partner-model", "type": "custom_model", "path": str(folder)})
        self.stage.say(f"partner-model:{made['version']} was registered; the automation takes it up")

    def _watch_run(self, number: str) -> Json:
        told, end = 0, time.monotonic() + self.stage.run_limit_s
        while time.monotonic() < end:
            run = next((one for one in self.client.automations.history("digits-loop") if one["run"] == number), None)
            for move in (run or {"history": ()})["history"][told:]:
                told += 1
                self.stage.say(f"{move['state'].replace('_', ' ')}: {move['reason']}")
            if run and run["ended"]:
                self._tell_rollout(f"digits-loop-{number}")
                return run
            time.sleep(0.2)
        raise Defect("Internal", f"run {number} of digits-loop took more than {self.stage.run_limit_s:g} s")

    def _tell_rollout(self, name: str) -> None:
        try:
            rollout = self.client.rollouts.get(name)
        except Refused:
            return
        for site in rollout["ferry"]["endpoints"].values():
            for move in site["evidence"]:
                figures = move["figures"]
                self.stage.say(f"  {move['transition']}: {move['reason']} {_p99(figures)}")


def _p99(figures: Json) -> str:
    both = [figures[role].get("p99_ms") for role in ("champion", "candidate")]
    return f"(p99 {both[0]:.0f} ms and {both[1]:.0f} ms)" if None not in both else ""


def _indented(text: str) -> str:
    return "\n".join(f"            {line}" for line in text.rstrip().splitlines())


def _how_to_look_around(stage: Stage) -> None:
    said = " ".join(f"{name}={value}" for name, value in stage.who().items() if name != "FERRY_TOKEN")
    print(f"\nIt goes on running. To look around:\n  export {said} FERRY_TOKEN=$(cat {stage.token})")
    print("  ferry job list -o table; ferry automation history -n digits-loop; ferry online-endpoint show -n digits")
    for line in stage.how_to_stop():
        print(line)
