"""Endpoints with `auth_mode: aml_token`: what opens them, what does not, and how their keys are replaced."""

import asyncio
import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ferryml.domain.routes import key_id
from router_play import KEY, until

UID = "endpoint.ws.digits"


class Signer:
    """Stands in for the server."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, **changes: object) -> str:
        claims = {"aud": UID, "exp": int(time.time()) + 60} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self._key, "ES256", {"kid": key_id(self.public)})


@pytest.fixture
async def signer(play):
    made = Signer()
    play.token_keys = (made.public,)
    await play.serve(max_concurrent_requests=20)
    return made


async def test_a_token_opens(play, signer):
    assert (await play.ask(key=signer.token())).status == 200
    long = signer.token(note="x" * 3000)
    assert (await play.ask(key=long)).status == 200
    assert "authorization" not in play.models["a" * 10][0].seen[0][1]


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"exp": None}, {"exp": "soon"}, {"aud": "endpoint.ws.other"}, {"aud": None}, {"aud": [UID]}],
    ids=str,
)
async def test_wrong_claims_do_not(play, signer, changes):
    said = await play.ask(key=signer.token() if not changes else _forced(signer, changes))
    assert (said.status, said.code) == (401, "Unauthenticated")


def _forced(signer: Signer, changes: dict) -> str:
    """PyJWT checks some claims when it signs, so these are put together by hand."""
    head = _part({"alg": "ES256", "kid": key_id(signer.public)})
    claims = {"aud": UID, "exp": int(time.time()) + 60} | changes
    body = _part({name: value for name, value in claims.items() if value is not None})
    algorithm = jwt.get_algorithm_by_name("ES256")
    signature = algorithm.sign(f"{head}.{body}".encode(), signer._key)
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_other_signers_and_algorithms_do_not(play, signer):
    stranger = Signer()
    good = signer.token()
    head, body, signature = good.split(".")
    kid = key_id(signer.public)
    forged = [
        stranger.token(),
        jwt.encode({"aud": UID, "exp": int(time.time()) + 60}, stranger._key, "ES256", {"kid": kid}),
        f"{_part({'alg': 'none', 'kid': kid})}.{body}.",
        f"{_part({'alg': 'HS256', 'kid': kid})}.{body}.{signature}",
        f"{_part({'alg': 'ES256', 'kid': '../../etc/passwd'})}.{body}.{signature}",
        f"{_part({'alg': 'ES256', 'kid': [kid]})}.{body}.{signature}",
        f"{_part({'alg': 'ES256'})}.{body}.{signature}",
        f"{head}.{_part({'aud': UID, 'exp': int(time.time()) + 9999})}.{signature}",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-8]}",
        f"{head}..{signature}",
        "..", "...", "x", KEY, good + "x.y", "\x7f" * 50,
    ]  # fmt: skip
    for token in forged[:12]:
        assert (await play.ask(key=token)).status == 401, token
    for token in forged[12:]:
        assert (await play.ask(key=token)).status in (400, 401), token
    assert (await play.ask(key=good)).status == 200


async def test_a_key_is_replaced_without_a_failed_request(play, signer):
    following = Signer()
    over = asyncio.Event()
    codes: list[int] = []

    async def keep_asking() -> None:
        while not over.is_set():
            codes.append((await play.ask(key=current.token())).status)

    current = signer
    asking = [asyncio.create_task(keep_asking()) for _ in range(3)]
    await until(lambda: len(codes) > 20)
    for keys in ((signer.public, following.public), (following.public,)):
        play.token_keys = keys
        await play.apply_aside()
        current = following
        seen = len(codes)
        await until(lambda seen=seen: len(codes) > seen + 20)
    over.set()
    await asyncio.gather(*asking)
    assert set(codes) == {200}
    assert (await play.ask(key=signer.token())).status == 401

