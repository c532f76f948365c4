"""A cluster that serves, in memory: a kubelet that reads scripts instead of running them, and the backend over it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from ferryml.backends.kubernetes.builds import Builds
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, DEPLOYMENTS, PODS
from ferryml.backends.kubernetes.kube import Manifest, meta, name_of, namespace_of
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.serving import KubeServing
from ferryml.backends.kubernetes.serving_logs import ServingLogs
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes.cluster import Cluster, cluster_of
from ferryml.compile.tree import parse_tree
from ferryml.domain.orders import EndpointOrder, EnvironmentOrder
from fixtures_serving import Shelf
from kube_jobs_play import SYSTEM, PlayDoor
from kube_play import AT, PlayKube, a_node
from site_play import PlayClock, a_wish

NAMESPACE = "team"
TURN_S = 0.01
LIMIT_S = 5.0
IMPORT_FAILED = """\
2024-05-01 00:00:00,000 E [1] azmlinfsrv - Traceback (most recent call last):
  File "/x/user_script.py", line 77, in load_script
    main_module_spec.loader.exec_module(user_module)
  File "/var/azureml-app/code/score.py", line 1, in <module>
    import absent_package
ModuleNotFoundError: No module named 'absent_package'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/aml_blueprint.py", line 91, in setup
azureml_inference_server_http.server.user_script.UserScriptImportException: Failed to import user script because it raised an unhandled exception
"""  # noqa: E501  as the server prints it


class PlayKubelet:
    """The Deployment controller and the kubelet of a cluster with one node."""

    def __init__(self, shelf: Shelf) -> None:
        self.kube, self._shelf = PlayKube({"default", NAMESPACE, SYSTEM}), shelf
        self.kube.write(a_node())
        self._over = threading.Event()
        self._made = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._over.wait(TURN_S):
            for body in self.kube.list(DEPLOYMENTS).items:
                self._reconcile(body)

    def _reconcile(self, body: Manifest) -> None:
        pods = [pod for pod in self.kube.list(PODS).items if _owner(pod) == meta(body)["uid"]]
        pods.sort(key=lambda pod: int(name_of(pod).rpartition("-")[2]))
        for _ in range(body["spec"]["replicas"] - len(pods)):
            self._made += 1
            self._start(body, f"{name_of(body)}-x-{self._made}")
        for pod in pods[body["spec"]["replicas"] :]:
            self.kube.delete(PODS, namespace_of(pod), name_of(pod))

    def _start(self, body: Manifest, name: str) -> None:
        fails = "absent_package" in self._script(body)
        said = IMPORT_FAILED if fails else "hello from init\n"
        self.kube.pod_logs[namespace_of(body), name, "main"] = said.encode()
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(body), "uid": meta(body)["uid"]}
        inner = body["spec"]["template"]["metadata"]
        self.kube.write(
            {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": name, "namespace": namespace_of(body), "labels": inner["labels"],
                    "annotations": inner["annotations"], "ownerReferences": [owner],
                },
                "spec": {"nodeName": "node-1"}, "status": crashed() if fails else serves(),
            }
        )  # fmt: skip

    def _script(self, body: Manifest) -> str:
        plan = self.kube.get(CONFIG_MAPS, namespace_of(body), name_of(body))
        assert plan is not None
        tree = next(item for item in json.loads(plan["data"]["job.json"])["fetch"] if item["what"] == "code")
        entries = parse_tree(self._shelf.at(tree["digest"]).read_bytes()).entries
        return "".join(self._shelf.at(entry.digest).read_text() for entry in entries)


class PlayServing:
    """The backend of an agent's life, with endpoints that are wished for; `close` ends that life."""

    def __init__(self, kubelet: PlayKubelet, uids: Sequence[str] = (), **knobs: Any) -> None:
        kube = self.kube = kubelet.kube
        self.clock, self.door = PlayClock(), PlayDoor()
        cluster: Cluster = cluster_of(
            {"system_namespace": SYSTEM, **knobs}, gateway_url="https://g", ca="PEM", main_sh="true", kubernetes=(1, 34)
        )
        self.ledger = KubeLedger(kube, SYSTEM, (), self.clock)
        self.ledger.open()
        self.ledger.take([a_wish(an_endpoint(uid), uid=uid) for uid in uids], "e", 1)
        self.watched = Watched(kube, (), lambda uid: None, self.ledger.heard)
        self.watched.start(LIMIT_S)
        patience = Patience(60, self.clock)
        builds = Builds(kube, self.watched, self.door, cluster, patience, self.clock)
        environments = Preparations(
            kube, self.watched, self.door, cluster, patience, self.clock, lambda uid: None, builds
        )
        environments.prepare(EnvironmentOrder(key="k"))
        self.output = ServingLogs(kube, lambda uid: None)
        self.output.start()
        self.backend = KubeServing(
            kube, self.watched, self.door, environments, cluster, self.ledger.wish, self.ledger.held, self.output, 60,
            self.clock,
        )  # fmt: skip

    def close(self) -> None:
        self.output.stop()
        self.watched.stop()
        self.kube.cut_watches()
        self.ledger.close()


def an_endpoint(uid: str) -> EndpointOrder:
    return EndpointOrder(workspace="ws", name=uid.rpartition(".")[2], compute="c", namespace=NAMESPACE)


def serves() -> Manifest:
    """Status of a pod that takes requests."""
    main = {"name": "main", "restartCount": 0, "started": True, "state": {"running": {"startedAt": AT}}}
    ready = {"type": "Ready", "status": "True"}
    return {"phase": "Running", "conditions": [ready], "containerStatuses": [main]}


def crashed(exit_code: int = 3, restarts: int = 0, reason: str = "Error", message: str = "", **more: Any) -> Manifest:
    """Status of a pod whose program has ended, and waits to be started again if it was before."""
    ended = {"exitCode": exit_code, "reason": reason, "startedAt": AT, "finishedAt": AT, "message": message, **more}
    waits = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    main = {"name": "main", "restartCount": restarts, **(waits if restarts else {"state": {"terminated": ended}})}
    done = {"name": "stage", "state": {"terminated": {"exitCode": 0}}}
    unready = {"type": "Ready", "status": "False"}
    return {"phase": "Running", "conditions": [unready], "initContainerStatuses": [done], "containerStatuses": [main]}


def _owner(pod: Manifest) -> str:
    return str((meta(pod).get("ownerReferences") or [{}])[0].get("uid", ""))
