"""Endpoints on a real cluster, as data scientists make them: with `ferry`, YAML files and folders of code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import kubebox_images as images
from cluster_play import IMAGE, SYSTEM, World, merged
from ferryml.compile.serving import SERVER
from kubebox.cluster import Cluster
from kubebox.places import KubeboxError
from system_play import W, until

NAMESPACE = "team-a"
COLLECTOR = "azureml-ai-monitoring"
"""What scoring scripts collect with."""
PROBE = {"period": 1, "initial_delay": 5, "timeout": 2, "failure_threshold": 20}
ENVIRONMENT = {
    "name": "scoring", "image": IMAGE,
    "conda_file": {"dependencies": ["python>=3.11", {"pip": ["azureml-inference-server-http"]}]},
}  # fmt: skip
SMALL = {"requests": {"cpu": "50m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "300Mi"}}
PACKAGES = (SERVER, "mlflow-skinny", "pandas", COLLECTOR)


VALUES = {
    "cluster": {"default_image": IMAGE}, "router": {"threads": 1},
    "inference": {"enabled": True, "allowInsecureConnections": True},
}  # fmt: skip
"""Of every installation that serves."""


@contextmanager
def installed(
    clusters, component, folder: Path, values: Mapping[str, Any], nodes: int = 1, **settings: Any
) -> Iterator[Serving]:
    """A server, and a cluster of so many nodes that has joined it."""
    helm = component("helm")["helm"]
    component("buildah")
    world = World(folder, helm, PACKAGES)
    try:
        world.serve()
        cluster = clusters.kubebox("cloud", nodes=nodes)
        cluster.load_image(images.build("router"))
        world.install(cluster, "cloud", "eu", (NAMESPACE,), merged(VALUES, values), **settings)
        world.attach(NAMESPACE, "cloud", NAMESPACE)
        yield Serving(world, cluster, folder)
    finally:
        world.close()


def says(value: object, more: str = "") -> str:
    """A scoring script that always answers `value`."""
    return f"{more}\ndef init(): print('hello from init', flush=True)\ndef run(raw): return [{value!r}]\n"


class Serving:
    """One world, one cluster, and what is asked of its endpoints."""

    def __init__(self, world: World, cluster: Cluster, folder: Path) -> None:
        self.world, self.cluster, self.folder = world, cluster, folder
        self._router = 0

    def endpoint(self, name: str) -> None:
        file = self._file(f"{name}.yml", {"name": name, "compute": f"azureml:{NAMESPACE}", "auth_mode": "key"})
        self.world.ferry("online-endpoint", "create", "-f", str(file))

    def document(self, endpoint: str, name: str = "blue", score: str = "", **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = {
            "type": "kubernetes", "name": name, "endpoint_name": endpoint, "environment": ENVIRONMENT,
            "resources": SMALL, "liveness_probe": PROBE, "readiness_probe": PROBE,
        }  # fmt: skip
        if score:
            code = self.folder / f"{endpoint}-{name}-{time.monotonic_ns()}"
            code.mkdir()
            (code / "score.py").write_text(score)
            made["code_configuration"] = {"code": str(code), "scoring_script": "score.py"}
        return {**made, **fields}

    def deploy(self, document: dict[str, Any], *more: str, verb: str = "create", ok: bool = True) -> str:
        """Waits till it has ended, unless told otherwise."""
        file = self._file(f"{document['endpoint_name']}-{document['name']}.yml", document)
        return self.world.ferry("online-deployment", verb, "-f", str(file), *more, ok=ok)

    def shown(self, endpoint: str, name: str = "blue") -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(f"{W}/online-endpoints/{endpoint}/deployments/{name}")
        return found

    def logs(self, endpoint: str, name: str = "blue", **asked: Any) -> str:
        return str(self.world.get(f"{W}/online-endpoints/{endpoint}/deployments/{name}/logs", **asked)["content"])

    def objects(self, kind: str, endpoint: str = "") -> list[dict[str, Any]]:
        """Of an endpoint, in the compute's namespace."""
        said = self.cluster.kubectl("get", kind, "-n", NAMESPACE, "-o", "json")
        every = json.loads(said)["items"]
        names = [(one, one["metadata"].get("annotations", {}).get("ferryml.dev/name", "")) for one in every]
        return [one for one, name in names if name.partition("/")[0] == endpoint]

    def pods(self, endpoint: str, name: str = "blue") -> list[dict[str, Any]]:
        """Those that are not being removed."""
        mine = f"{endpoint}/{name}"
        every = self.objects("pods", endpoint)
        return [
            one for one in every
            if one["metadata"]["annotations"]["ferryml.dev/name"] == mine and "deletionTimestamp" not in one["metadata"]
        ]  # fmt: skip

    def evict(self, pod: dict[str, Any]) -> str:
        """As who drains its node does; what is said when it may not be."""
        name = pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
        where = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
        try:
            self.cluster.kubectl("create", "--raw", where, "-f", "-", given=json.dumps(body))
        except KubeboxError as refused:
            return str(refused)
        return ""

    def ask_pod(self, pod: dict[str, Any], body: object = None, path: str = "/score", port: int = 5001) -> Any:
        """Past the router."""
        mine = self.cluster.forward(pod["status"]["podIP"], port)
        said = httpx.post(f"http://127.0.0.1:{mine}{path}", json=body, timeout=20, trust_env=False)
        assert said.status_code == 200, said.text
        return said.json()

    def uri(self, endpoint: str) -> str:
        """The scoring address as this machine reaches it."""
        if not self._router:
            address = self.cluster.kubectl(
                "get", "service", "ferry-router", "-n", SYSTEM, "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}"
            )
            host, _, port = address.strip().rpartition(":")
            self._router = self.cluster.forward(host, int(port))
        return f"http://127.0.0.1:{self._router}/api/v1/endpoint/{endpoint}/score"

    def key(self, endpoint: str) -> str:
        return str(self.world.get(f"{W}/online-endpoints/{endpoint}/keys")["primaryKey"])

    def ask(self, endpoint: str, body: object = None, key: str = "", **headers: str) -> tuple[int, Any]:
        """Through the router."""
        said = self.answer(endpoint, body, key, **headers)
        return said.status_code, said.json()

    def answer(self, endpoint: str, body: object = None, key: str = "", **headers: str) -> httpx.Response:
        """The same with its headers."""
        head = {"Authorization": f"Bearer {key or self.key(endpoint)}", **headers}
        return httpx.post(self.uri(endpoint), json=body, headers=head, timeout=20, trust_env=False)

    def asset(self, name: str) -> dict[str, Any]:
        """The newest version of a data asset; empty while there is none."""
        found = self.world.api.get(f"{W}/datas/{name}/versions/@latest")
        return found.json() if found.status_code == 200 else {}

    def events(self, asset: str) -> dict[str, list[Any]]:
        """Path -> what its lines say, of the newest version of a collection."""
        content = self.asset(asset).get("ferry", {}).get("content")
        if not content:
            return {}
        blobs = f"{W}/artifacts/blobs"
        entries = self.world.get(f"{blobs}/{content['tree']['digest']}")["entries"]
        read = {one["path"]: self.world.api.get(f"{blobs}/{one['digest']}").content for one in entries}
        return {path: [json.loads(line) for line in lines.splitlines()] for path, lines in read.items()}

    def story(self) -> str:
        """What the cluster says, for a test that waits in vain."""
        parts = [self.cluster.kubectl("get", "oe,od,deploy,pods,svc", "-n", NAMESPACE, "-o", "wide", check=False)]
        parts.append(self.cluster.kubectl("get", "events", "-n", NAMESPACE, check=False)[-3000:])
        return "\n".join([*parts, self.world.tail()])

    def until(self, true: Callable[[], Any], within_s: float = 60) -> Any:
        """What it said at last."""
        said: list[Any] = []

        def told() -> bool:
            said[:] = [true()]
            return bool(said[0])

        until(told, within_s, self.story)
        return said[0]

    def _file(self, name: str, document: dict[str, Any]) -> Path:
        file = self.folder / name
        file.write_text(json.dumps(document))
        return file
