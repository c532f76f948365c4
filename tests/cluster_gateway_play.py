"""The gateway program of a cluster, listening with TLS on loopback, over an API server in memory."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from ferryml.backends.kubernetes.kinds import CONFIG_MAPS
from ferryml.backends.kubernetes.kube import Reviewed
from ferryml.bootstrap.cluster_gateway import ClusterGateway
from ferryml.bootstrap.cluster_member import SITE, put_data
from ferryml.bootstrap.dice import SystemDice
from ferryml.settings import ClusterSettings, SiteSettings
from kube_play import PlayKube
from server_play import PlayServer

SYSTEM = "ferry-system"
PREFIX = "j-0123456789-1-"
POD_NAME = "authentication.kubernetes.io/pod-name"


class PlayClusterGateway:
    """`pod(name)` and `agent` are clients with the tokens of a service account."""

    def __init__(self, folder: Path, server: PlayServer, channel: str = "", **settings: Any) -> None:
        self.server, self.kube, self.folder = server, PlayKube({"team", SYSTEM}), folder
        site = SiteSettings(server_url=server.url, min_free_disk_bytes=0, **settings)
        knobs = ClusterSettings(
            state_dir=folder / "state", gateway_host="127.0.0.1", gateway_port=0, conda_channel=channel
        )
        self.gateway = ClusterGateway(site, knobs, self.kube, SystemDice())
        self.gateway.start()
        put_data(self.kube, CONFIG_MAPS, SYSTEM, SITE, {"enrolled.json": server.enrolled().model_dump_json()})
        self.gateway.join()
        self.url = f"https://127.0.0.1:{self.gateway.port}"
        self.authority = folder / "ca.pem"
        self.authority.write_text(self.gateway.identity.certified.authority)
        self._tls = ssl.create_default_context(cafile=self.authority)
        self._clients: list[httpx.Client] = []
        self.agent = self._client(self.token("ferry-agent", SYSTEM, "ferry-gateway-admin"))

    def token(self, account: str, namespace: str, audience: str, pod: str = "") -> str:
        """A token that the API server knows for one audience."""
        token = f"{audience}.{namespace}.{account}.{pod}"
        extra = {POD_NAME: (pod,)} if pod else {}
        self.kube.tokens[token] = Reviewed(f"system:serviceaccount:{namespace}:{account}", (audience,), extra)
        return token

    def pod(self, name: str = f"{PREFIX}0-abcde", namespace: str = "team") -> httpx.Client:
        return self._client(self.token("default", namespace, "ferry-gateway", name))

    def admit(self, attempt: int = 1, prefix: str = PREFIX, **more: Any) -> httpx.Response:
        body = {"uid": "job.w.j", "attempt": attempt, "grant": self.server.grant(), "namespace": "team"}
        return self.agent.post("/admin/v1/admit", json={**body, "prefix": prefix, **more})

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.gateway.stop()

    def _client(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(base_url=self.url, headers=headers, verify=self._tls, trust_env=False)
        self._clients.append(client)
        return client
