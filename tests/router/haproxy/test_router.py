"""The whole of it: TLS from files, renewed while it serves, and doors that stay shut."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from ferryml.domain.errors import Refused, Unavailable
from ferryml.router.certificates import bundle
from ferryml.settings import RouterSettings
from fixtures_router import on_haproxy
from https_play import Authority
from router_play import KEY

PATH = "/api/v1/endpoint/digits/score"
BEARER = {"authorization": f"Bearer {KEY}"}


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.bundle))


async def test_https_and_http2(on, tmp_path):
    authority = Authority(tmp_path, "one")
    chain, key = authority.server_files()
    play = await on(tls_cert=chain, tls_key=key)
    await play.serve()
    url = f"https://127.0.0.1:{play.port}{PATH}"
    async with httpx.AsyncClient(http2=True, verify=trusting(authority), trust_env=False, headers=BEARER) as client:
        said = await client.post(url, content=b"[1]")
    assert (said.http_version, said.status_code, said.content) == ("HTTP/2", 200, b"1")
    with pytest.raises(httpx.HTTPError):
        httpx.post(f"http://127.0.0.1:{play.port}{PATH}", trust_env=False)


async def test_old_tls_is_refused(on, tmp_path):
    authority = Authority(tmp_path, "one")
    chain, key = authority.server_files()
    play = await on(tls_cert=chain, tls_key=key)
    context = trusting(authority)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", play.port, ssl=context)


async def test_a_certificate_is_renewed_while_it_serves(on, tmp_path):
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    chain, key = old.server_files()
    play = await on(tls_cert=chain, tls_key=key)
    await play.serve()
    url = f"https://127.0.0.1:{play.port}{PATH}"
    async with httpx.AsyncClient(verify=trusting(old), trust_env=False, headers=BEARER) as client:
        assert (await client.post(url, content=b"[1]")).status_code == 200
        chain, key = new.server_files()
        renewed = bundle(RouterSettings(tls_cert=chain, tls_key=key))
        await asyncio.to_thread(play.router.sidecar.renew_certificate, renewed)
        assert (await client.post(url, content=b"[1]")).status_code == 200, "a kept connection goes on"
    async with httpx.AsyncClient(verify=trusting(new), trust_env=False, headers=BEARER) as client:
        assert (await client.post(url, content=b"[1]")).status_code == 200
    with pytest.raises(Unavailable, match="certificate"):
        await asyncio.to_thread(play.router.sidecar.renew_certificate, renewed.partition("-----BEGIN PRIVATE")[0])
    async with httpx.AsyncClient(verify=trusting(new), trust_env=False, headers=BEARER) as client:
        assert (await client.post(url, content=b"[1]")).status_code == 200, "the last good one stays"
    assert (Path(play.router.base) / "files" / "edge.pem").read_text() == renewed


@pytest.fixture
async def idle():
    """A router that has not been started."""
    made = on_haproxy(RouterSettings(), [])
    yield made
    await made.stop(0)


async def test_keys_never_travel_in_the_clear(idle):
    with pytest.raises(Refused, match="in the clear"):
        idle.start("0.0.0.0", 0)


async def test_nothing_works_before_the_start(idle):
    with pytest.raises(Unavailable, match="not been started"):
        idle.totals("endpoint.ws.digits")


async def test_a_taken_port_is_said(on, idle):
    play = await on()
    with pytest.raises(Unavailable, match="did not start"):
        await asyncio.to_thread(idle.start, "127.0.0.1", play.port)


async def test_no_file_with_secrets_is_readable_by_others(on):
    play = await on()
    await play.serve()
    assert not [path for path in play.router.base.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in play.router.base.rglob("*.sock") if path.stat().st_mode & 0o077]
