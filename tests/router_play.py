"""A stand-in for model programs and a caller with raw sockets: what the router's contract suite needs."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field

from ferryml.domain.routes import EndpointRoute, RevisionRoute, Upstream

KEY = "the-key-of-the-test"
OTHER = "the-secondary-key"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Model:
    """One instance of a model program. `manner` decides how it answers:

    ok, slow (waits for `gate`), raises (500), bad (400), dies (closes without a word), half (closes in the answer),
    babble (not HTTP), chunked.
    """

    def __init__(self, says: object = 1) -> None:
        self.says = says
        self.manner = "ok"
        self.gate = asyncio.Event()
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.busy = self.most_busy = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> "Model":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = await read_body(reader, headers)
            self.seen.append((head[0], headers, body))
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
            try:
                writer.write(await self._answer())
                await writer.drain()
            finally:
                self.busy -= 1
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _answer(self) -> bytes:
        body = json.dumps(self.says).encode()
        match self.manner:
            case "slow":
                await self.gate.wait()
            case "raises":
                return _http(500, b'{"message": "boom"}')
            case "bad":
                return _http(400, b'{"message": "no such column"}')
            case "dies":
                return b""
            case "half":
                return _http(200, body + b" " * 100)[:-60]
            case "babble":
                return b"what do you want?\r\n\r\n"
            case "chunked":
                return (
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-model: yes\r\n\r\n"
                    + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
                )  # fmt: skip
        return _http(200, body)


def _http(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} WORD\r\ncontent-type: application/json\r\nx-model: yes\r\nx-request-id: of-the-model\r\n"
    return head.encode() + f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


@dataclass
class Said:
    """An answer of the router."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


@dataclass
class Play:
    """Builds the table of one endpoint and talks to the router under test."""

    router: object
    port: int
    models: dict[str, list[Model]] = field(default_factory=dict)
    limits: dict[str, dict[str, int]] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    direct: dict[str, str] = field(default_factory=dict)
    mirror: dict[str, int] = field(default_factory=dict)
    token_keys: tuple[str, ...] = ()
    """Public keys; when there are any, tokens open and keys do not."""
    name: str = "digits"
    made: list[Model] = field(default_factory=list)

    async def model(self, revision: str = "a" * 10, says: object = 1, **limits: int) -> Model:
        """One more instance of `revision`, whose deployment is called `dep-` and its first letter."""
        made = await Model(says).start()
        self.made.append(made)
        self.models.setdefault(revision, []).append(made)
        self.limits[revision] = limits or self.limits.get(revision, {})
        self.direct.setdefault(f"dep-{revision[0]}", revision)
        return made

    def apply(self) -> None:
        self.router.apply(
            EndpointRoute(
                uid=f"endpoint.ws.{self.name}", name=self.name, key_hashes=(digest(KEY), digest(OTHER)),
                auth_mode="aml_token" if self.token_keys else "key", token_keys=self.token_keys,
                weights=self.weights, direct=self.direct, mirror=self.mirror,
                revisions=tuple(
                    RevisionRoute(
                        revision=revision, deployment=f"dep-{revision[0]}",
                        upstreams=tuple(Upstream(instance=i, port=m.port) for i, m in enumerate(models)),
                        **self.limits[revision],
                    )
                    for revision, models in self.models.items()
                ),
            )
        )  # fmt: skip

    async def apply_aside(self) -> None:
        """The same while requests go on, where the router may be told from another thread."""
        if getattr(self.router, "any_thread", False):
            await asyncio.to_thread(self.apply)
        else:
            self.apply()

    async def serve(self, says: object = 1, **limits: int) -> Model:
        """The usual beginning: one revision with all the traffic."""
        made = await self.model(says=says, **limits)
        self.weights = {"a" * 10: 100}
        self.apply()
        return made

    async def ask(
        self,
        body: bytes = b"[1]",
        path: str = "/api/v1/endpoint/digits/score",
        method: str = "POST",
        key: str = KEY,
        **headers: str,
    ) -> Said:
        """One request on a connection of its own; header names with _ for -."""
        lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", "connection: close"]
        lines += [f"authorization: Bearer {key}"] if key else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    async def raw(self, data: bytes, end: bool = False) -> Said:
        """Send bytes as they are and read one answer; status 0 when the router only closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            if end:
                writer.write_eof()
            async with asyncio.timeout(10):
                return await read_answer(reader)
        except OSError:
            return Said(0, {}, b"")
        finally:
            writer.close()

    async def stop(self) -> None:
        for model in self.made:
            model.gate.set()
            await model.stop()


async def read_answer(reader: asyncio.StreamReader) -> Said:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return Said(0, {}, b"")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    return Said(int(head[0].split()[1]), headers, await read_body(reader, headers))


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """By length or in chunks."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while length := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(length)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


async def until(true, limit_s: float = 20) -> None:
    """Wait until `true()` holds."""
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.005)
