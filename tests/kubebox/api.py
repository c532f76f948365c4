"""The few requests that the harness itself makes of an API server, always over 127.0.0.1."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from kubebox.places import KubeboxError


class Api:
    """One API server, as the user of a kubeconfig that kubebox wrote."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as both:
            for part in ("client-certificate-data", "client-key-data"):
                both.write(base64.b64decode(user[part]))
            both.flush()
            context.load_cert_chain(both.name)
        self._http = httpx.Client(base_url=cluster["server"], verify=context, timeout=15, trust_env=False)

    def ready(self) -> bool:
        """Whether it serves and its own first objects exist."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object or list; {} when there is none."""
        return self._ask("GET", path, query)

    def create(self, path: str, value: object) -> bool:
        """False when it is there already."""
        answer = self._http.post(path, json=value)
        if answer.status_code not in (200, 201, 409):
            raise KubeboxError(f"POST {path}: {answer.status_code} {answer.text[:500]}")
        return answer.status_code != 409

    def post(self, path: str, value: object) -> dict[str, Any]:
        """What the API server makes of it: a token, a review."""
        answer = self._http.post(path, json=value)
        if answer.status_code not in (200, 201):
            raise KubeboxError(f"POST {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def delete(self, path: str) -> None:
        """Also when it is gone already."""
        self._ask("DELETE", path, {})

    def patch(self, path: str, change: Mapping[str, object] | list[dict[str, object]]) -> None:
        """A list is a JSON patch, a mapping a merge patch."""
        kind = "application/json-patch+json" if isinstance(change, list) else "application/merge-patch+json"
        answer = self._http.patch(path, content=json.dumps(change), headers={"Content-Type": kind})
        if answer.status_code != 200:
            raise KubeboxError(f"PATCH {path}: {answer.status_code} {answer.text[:500]}")

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def _ask(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        answer = self._http.request(method, path, params=dict(query))
        if answer.status_code == 404:
            return {}
        if answer.status_code not in (200, 202):
            raise KubeboxError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()
