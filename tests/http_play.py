"""The whole server over HTTP, in process: the use cases' play with a door, and clients of every role."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control_play import OWNER, WORKSPACE, Play
from ferryml.control import tokens
from ferryml.server.app import make_app

with warnings.catch_warnings():
    # Starlette would like another httpx; the one that Ferry's client uses does.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

W = f"/api/v1/workspaces/{WORKSPACE}"


class Http(Play):
    """`as_(role)` is a client with a token of that role."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.app = make_app(self.deps)

    def client(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)

    def as_(self, role: str = "owner", workspace: str = "*") -> httpx.Client:
        return self.client(str(tokens.create(self.deps, OWNER, workspace, role, role)["token"]))

    def joined(self, name: str = "cloud", compute: str = "c1") -> SiteClient:
        """A site that joined over HTTP, with its two keys."""
        return SiteClient(self, name, compute)


class SiteClient:
    """A site's two halves, signing as the real ones do."""

    def __init__(self, play: Http, name: str, compute: str) -> None:
        self._play, self.name = play, name
        self._keys = {half: Ed25519PrivateKey.generate() for half in ("agent", "gateway")}
        admin = play.as_()
        token = admin.post("/api/v1/sites", json={"name": name}).json()["join_token"]
        body = {"join_token": token, "version": "1"}
        body |= {f"{half}_key": _public(key) for half, key in self._keys.items()}
        self.enrolled = play.client().post("/agent/v1/enrol", json=body)
        admin.post(f"{W}/computes", json={"type": "local", "name": compute, "site": name})

    def as_(self, half: str = "agent", shift: float = 0) -> httpx.Client:
        now = self._play.dice.now().timestamp() + shift
        who = f"{self.name}/{half}"
        claims = {
            "iss": who, "sub": who, "aud": self._play.deps.keys.server_id, "iat": int(now), "exp": int(now) + 60,
            "jti": "1",
        }  # fmt: skip
        return self._play.client(jwt.encode(claims, self._keys[half], algorithm="EdDSA"))


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def fault(answer: httpx.Response) -> tuple[int, str]:
    """(status, code) of an answer in the one error shape."""
    body = answer.json()
    assert set(body) == {"error", "request_id"}, body
    assert set(body["error"]) == {"code", "message", "hint", "details"}
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["error"]["code"]
