"""Endpoints with `auth_mode: aml_token`: what opens them, what does not, and how their keys are replaced."""

import asyncio
import time

import jwt
import pytest

from ferryml.bootstrap.keys import FileKeys
from ferryml.domain.routes import key_id
from router_play import KEY, until
from token_play import UID, Signer, forced, part


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


async def test_tokens_that_the_server_signs_open(play, tmp_path):
    keys = FileKeys(tmp_path / "server.json")
    public, sealed = keys.new_token_key()
    play.token_keys = (Signer().public, public)
    await play.serve()
    claims = {"iss": keys.server_id, "sub": "ann", "jti": "x", "iat": int(time.time()), "exp": int(time.time()) + 60}
    assert (await play.ask(key=keys.sign_token(sealed, {**claims, "aud": UID}))).status == 200
    assert (await play.ask(key=keys.sign_token(sealed, {**claims, "aud": f"{UID}x"}))).status == 401
    assert (await play.ask(key=keys.sign_token(sealed, {**claims, "aud": UID, "exp": 1}))).status == 401
    stranger = keys.new_token_key()[1]
    assert (await play.ask(key=keys.sign_token(stranger, {**claims, "aud": UID}))).status == 401


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"exp": None}, {"exp": "soon"}, {"aud": "endpoint.ws.other"}, {"aud": None}, {"aud": [UID]}],
    ids=str,
)
async def test_wrong_claims_do_not(play, signer, changes):
    said = await play.ask(key=signer.token() if not changes else forced(signer, changes))
    assert (said.status, said.code) == (401, "Unauthenticated")


async def test_other_signers_and_algorithms_do_not(play, signer):
    stranger = Signer()
    good = signer.token()
    head, body, signature = good.split(".")
    kid = key_id(signer.public)
    bad = [
        stranger.token(),
        jwt.encode({"aud": UID, "exp": int(time.time()) + 60}, stranger.key, "ES256", {"kid": kid}),
        f"{part({'alg': 'none', 'kid': kid})}.{body}.",
        f"{part({'alg': 'HS256', 'kid': kid})}.{body}.{signature}",
        f"{part({'alg': 'ES256', 'kid': '../../etc/passwd'})}.{body}.{signature}",
        f"{part({'alg': 'ES256', 'kid': [kid]})}.{body}.{signature}",
        f"{part({'alg': 'ES256'})}.{body}.{signature}",
        f"{head}.{part({'aud': UID, 'exp': int(time.time()) + 9999})}.{signature}",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-8]}",
        f"{head}..{signature}",
        "..", "...", "x", KEY, good + "x.y", "\x7f" * 50,
    ]  # fmt: skip
    for token in bad[:12]:
        assert (await play.ask(key=token)).status == 401, token
    for token in bad[12:]:
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
