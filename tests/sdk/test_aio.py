"""The async client: the same nouns, awaited."""

import asyncio

import pytest

from ferryml import AsyncClient, Model
from ferryml.domain.errors import NotFound, Unavailable
from ferryml.sdk.flow import Call, Pause, ask
from ferryml.sdk.sending import Target


async def test_the_same_nouns_awaited(desk, tmp_path):
    (tmp_path / "m.bin").write_bytes(b"weights" * 1000)
    async with AsyncClient(target=desk.target, workspace="team") as client:
        made = await client.models.create(Model(name="am", path=str(tmp_path / "m.bin")))
        files = await client.models.download("am", made["version"], tmp_path / "dl")
        assert files[0].read_bytes() == b"weights" * 1000
        one, two = await asyncio.gather(client.whoami(), client.models.list())
        assert (one["role"], len(two)) == ("owner", 1)
        with pytest.raises(NotFound):
            await client.jobs.get("absent")


async def test_errors_and_pauses_reach_the_flow(free_port):
    def flow():
        yield Pause(0)
        try:
            yield from ask(Call("GET", "/x", repeatable=False))
        except Unavailable as error:
            return error.code

    async with AsyncClient(target=Target(f"http://127.0.0.1:{free_port}")) as client:
        assert await client.run(flow()) == "ServerUnreachable"
