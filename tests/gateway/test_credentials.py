"""OAuth tokens: asked for as the clouds' documentation says, once for their life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ferryml.domain.errors import Refused, Unavailable
from ferryml.gateway.credentials import Principal, ServiceAccount, Tokens
from ferryml.gateway.upstream import Upstream
from ferryml.sdk.wire import Route
from web_play import Web


class Scene:
    """Both clouds as one proxy; `now` is set by hand."""

    def __init__(self) -> None:
        self.web, self.now = Web(), datetime(2026, 1, 2, tzinfo=UTC)
        self.upstream = Upstream(Route("", proxy=self.web.url))
        self.tokens = Tokens(self.upstream, lambda: self.now)

    def answers(self, url: str, status: int = 200, **said: object) -> None:
        self.web.answers[url] = (status, {}, json.dumps(said).encode())

    def form(self) -> dict[str, str]:
        return {name: value[0] for name, value in parse_qs(self.web.bodies[-1].decode()).items()}


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.upstream.close()
    made.web.close()


ENTRA = "http://login.example/t1/oauth2/v2.0/token"
WHO = Principal("t1", "app", "hush&=", "http://login.example")


def test_a_service_principal_buys_a_token_once(scene: Scene) -> None:
    scene.answers(ENTRA, access_token="one", expires_in=3600)
    assert [scene.tokens.azure(WHO), scene.tokens.azure(WHO)] == ["one", "one"]
    assert scene.form() == {
        "grant_type": "client_credentials", "client_id": "app", "client_secret": "hush&=",
        "scope": "https://storage.azure.com/.default",
    }  # fmt: skip
    assert len(scene.web.asked) == 1
    scene.answers(ENTRA, access_token="two", expires_in=3600)
    scene.now += timedelta(minutes=56)
    assert scene.tokens.azure(WHO) == "two"


def test_a_service_account_signs_its_assertion(scene: Scene) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    url = "http://oauth2.example/token"
    scene.answers(url, access_token="ya29", expires_in=3599)
    assert scene.tokens.google(ServiceAccount("me@p.iam", url, pem, "k1")) == "ya29"
    form = scene.form()
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert jwt.get_unverified_header(form["assertion"]) == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    claims = jwt.decode(form["assertion"], key.public_key(), ["RS256"], audience=url, options={"verify_exp": False})
    stamp = int(scene.now.timestamp())
    assert claims == {
        "iss": "me@p.iam", "aud": url, "iat": stamp, "exp": stamp + 3600,
        "scope": "https://www.googleapis.com/auth/devstorage.read_write",
    }  # fmt: skip
    with pytest.raises(Refused, match="private key"):
        scene.tokens.google(ServiceAccount("me@p.iam", url, "no key"))


def test_a_credential_that_is_not_taken_is_said_without_it(scene: Scene) -> None:
    scene.answers(ENTRA, 400, error="invalid_client", error_description="secret hush&= is wrong")
    with pytest.raises(Refused, match="invalid_client") as caught:
        scene.tokens.azure(WHO)
    assert "hush" not in caught.value.message
    scene.answers(ENTRA, 401, error="invalid_client")
    with pytest.raises(Refused):
        scene.tokens.azure(WHO)
    scene.answers(ENTRA, 503)
    with pytest.raises(Unavailable):
        scene.tokens.azure(WHO)
    scene.answers(ENTRA, 200, token="x")
    with pytest.raises(Unavailable, match="no token"):
        scene.tokens.azure(WHO)
    assert "hush" not in repr(WHO)
