"""Grants: only this server's word, only for this site, only for that work."""

from __future__ import annotations

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ferryml.domain.errors import Forbidden
from ferryml.domain.link import Grant
from ferryml.gateway.grants import Grants, stays

KEY = Ed25519PrivateKey.generate()
GRANT = Grant(iss="ferry-1", site="s", uid="job.w.j", generation=1, workspace="w", kind="Job", name="j")


def signed(grant: Grant, key: Ed25519PrivateKey = KEY) -> str:
    return jwt.encode(grant.model_dump(mode="json"), key, algorithm="EdDSA")


@pytest.fixture
def grants() -> Grants:
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Grants(base64.b64encode(raw).decode(), "ferry-1", "s")


def test_a_good_grant(grants: Grants) -> None:
    assert grants.verify(signed(GRANT), "job.w.j") == GRANT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        signed(GRANT, Ed25519PrivateKey.generate()),
        signed(GRANT.model_copy(update={"site": "other"})),
        signed(GRANT.model_copy(update={"iss": "ferry-2"})),
        signed(GRANT.model_copy(update={"uid": "job.w.k"})),
        jwt.encode(GRANT.model_dump(mode="json"), "a secret that is long enough to sign", algorithm="HS256"),
        jwt.encode({"iss": "ferry-1", "site": "s"}, KEY, algorithm="EdDSA"),
        jwt.encode(GRANT.model_dump(mode="json"), None, algorithm="none"),
    ],
    ids=["none", "noise", "forged", "site", "server", "uid", "symmetric", "half", "unsigned"],
)
def test_bad_grants(grants: Grants, text: str) -> None:
    with pytest.raises(Forbidden) as caught:
        grants.verify(text, "job.w.j")
    assert caught.value.code == "BadGrant"


def test_a_newer_servers_extra_claims_do_not_matter(grants: Grants) -> None:
    text = jwt.encode({**GRANT.model_dump(mode="json"), "new_claim": 1}, KEY, algorithm="EdDSA")
    assert grants.verify(text) == GRANT


@pytest.mark.parametrize(
    ("zones", "release", "matter", "bound"),
    [((), (), "models", False), (("eu",), (), "models", True), (("eu",), ("models",), "models", False)],
)
def test_what_stays(zones: tuple[str, ...], release: tuple[str, ...], matter: str, bound: bool) -> None:
    assert stays(GRANT.model_copy(update={"zones": zones, "release": release}), matter) is bound
