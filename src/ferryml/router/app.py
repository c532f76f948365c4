"""The router of a local site: the same contract as the one in a cluster, small enough for laptops and tests."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from ferryml.domain.counters import Counters
from ferryml.domain.errors import FerryError, NotFound
from ferryml.domain.routes import EndpointRoute
from ferryml.router import http1, serve
from ferryml.router.auth import Door
from ferryml.router.certificates import demand_tls
from ferryml.router.live import LiveEndpoint
from ferryml.settings import RouterSettings

_SLOWEST_BYTES_S = 64 * 1024


class Router:
    """Listens, and serves the endpoints it was told of. All methods belong to the loop that called `start`."""

    def __init__(
        self, settings: RouterSettings, draw: Callable[[], float], new_hex: Callable[[], str], capture: serve.Capture,
        record: serve.Record | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._boot = new_hex()
        self._endpoints: dict[str, LiveEndpoint] = {}
        self._door = Door(time.monotonic)
        limits = serve.Limits(
            settings.connect_timeout_s, settings.max_body_bytes, settings.mirror_queue, settings.mirror_body_bytes
        )
        self._scorer = serve.Scorer(limits, draw, new_hex, capture, record)
        self._connections: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._socket: socket.socket | None = None

    # what the site's operator says and sees

    def apply(self, route: EndpointRoute) -> None:
        """From now on serve the endpoint like this; requests under way are not disturbed."""
        known = self._endpoints.get(route.name)
        if known is None or known.route.uid != route.uid:
            self._endpoints[route.name] = LiveEndpoint(route, self._boot)
        else:
            known.update(route, self._boot)

    def drop(self, uid: str) -> None:
        """The endpoint is no more: its callers get 404."""
        for name in [name for name, endpoint in self._endpoints.items() if endpoint.route.uid == uid]:
            del self._endpoints[name]

    def totals(self, uid: str) -> dict[str, Counters]:
        """revision -> totals since this router started."""
        found = self._find(uid)
        return found.totals() if found else {}

    def recent(self, uid: str) -> dict[str, Counters]:
        """revision -> what was added within counter_window_s."""
        found = self._find(uid)
        return found.recent() if found else {}

    def busy(self, uid: str) -> dict[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way."""
        found = self._find(uid)
        return found.busy() if found else {}

    def queued(self, uid: str) -> dict[str, int]:
        """revision -> requests in line."""
        found = self._find(uid)
        return found.queued() if found else {}

    # life

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises Refused when keys would travel in the clear."""
        demand_tls(self._settings, host)
        context = self._tls()
        self._socket = socket.create_server((host, port), backlog=512)
        self._socket.setblocking(False)
        self._loops = [
            asyncio.create_task(self._accept(self._socket, context)),
            asyncio.create_task(self._look()),
        ]
        return int(self._socket.getsockname()[1])

    async def stop(self, drain_s: float = 5) -> None:
        """Take no more, finish what is under way for `drain_s`, then close."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._socket:
            self._socket.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=drain_s)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._scorer.stop()

    def _find(self, uid: str) -> LiveEndpoint | None:
        return next((endpoint for endpoint in self._endpoints.values() if endpoint.route.uid == uid), None)

    def _tls(self) -> ssl.SSLContext | None:
        if self._settings.tls_cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
            return context
        return None

    async def _look(self) -> None:
        while True:
            for endpoint in self._endpoints.values():
                for revision in endpoint.revisions.values():
                    revision.tally.look(time.monotonic(), self._settings.counter_window_s)
            await asyncio.sleep(max(1.0, self._settings.counter_window_s / 20))

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(self._settings.max_connections)
        while True:
            await room.acquire()
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError:
                # out of file descriptors, or the caller left before we came: neither may end the router
                room.release()
                await asyncio.sleep(0.05)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._converse(connection, str(address[0]), context))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: room.release())

    async def _converse(self, connection: socket.socket, peer: str, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=http1.MAX_HEAD_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            async with asyncio.timeout(self._settings.idle_timeout_s):
                transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
        except (OSError, TimeoutError):
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            with suppress(OSError, EOFError, TimeoutError):
                while await self._exchange(reader, writer, peer):
                    pass
        finally:
            writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> bool:
        """One request and its answer; False ends the connection."""
        try:
            async with asyncio.timeout(self._settings.idle_timeout_s):
                raw = await http1.read_head(reader)
            if not raw:
                return False
            head = http1.parse_request(raw)
        except FerryError as error:
            status, body = serve.error_answer(error, self._scorer.name_request())
            await _write(writer, status, [("content-type", "application/json")], body, keep_alive=False)
            return False
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._serving.add(task)
        try:
            return await self._serve(head, reader, writer, peer)
        finally:
            self._serving.discard(task)

    async def _serve(
        self, head: http1.Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> bool:
        if head.target in ("/", "/healthz"):
            await _write(writer, 200, [("content-type", "text/plain")], b"ok", keep_alive=False)
            return False
        call: serve.Call | None = None
        body_read = False
        try:
            call = serve.route_of(head)
            endpoint = self._endpoints.get(call.endpoint)
            if endpoint is None:
                raise NotFound(
                    "EndpointNotFound", f"no endpoint {call.endpoint!r} here", "See `ferry online-endpoint list`."
                )
            if not self._settings.keyless or head.get("origin"):  # a page in a browser says where it comes from
                self._door.enter(head.get("authorization"), endpoint.route.key_hashes, peer, endpoint.signed)
            call.body = await self._body(head, reader, writer)
            body_read = True
            answer = await self._scorer.score(endpoint, call)
            headers = [*serve.ids(call), *call.answer_headers, *serve.passed_on(answer)]
            await _write(writer, answer.status, headers, answer.body, head.keep_alive)
            self._scorer.afterwards(endpoint, call, answer)
            return head.keep_alive
        except FerryError as error:
            return await self._refuse(error, call, head, writer, body_read)

    async def _refuse(
        self,
        error: FerryError,
        call: serve.Call | None,
        head: http1.Head,
        writer: asyncio.StreamWriter,
        body_read: bool,
    ) -> bool:
        call = call or serve.Call(head, "", "", "")
        call.request_id = call.request_id or self._scorer.name_request()
        headers = [*serve.ids(call), *call.answer_headers, *error.details.pop("headers", [])]
        status, body = serve.error_answer(error, call.request_id)
        if status == 401:
            headers.append(("www-authenticate", "Bearer"))
        keep_alive = head.keep_alive and body_read
        await _write(writer, status, [("content-type", "application/json"), *headers], body, keep_alive)
        return keep_alive

    async def _body(self, head: http1.Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        limit = self._settings.max_body_bytes
        length = http1.body_length(head.headers)
        if length is not None and length > limit:
            return await http1.read_body(reader, length, limit)
        if "100-continue" in head.get("expect").lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        slowest = self._settings.idle_timeout_s + (limit if length is None else max(0, length)) / _SLOWEST_BYTES_S
        async with asyncio.timeout(slowest):
            return await http1.read_body(reader, length, limit)


async def _write(
    writer: asyncio.StreamWriter, status: int, headers: http1.Headers, body: bytes, keep_alive: bool
) -> None:
    writer.write(http1.render(status, headers, body, keep_alive))
    async with asyncio.timeout(60):
        await writer.drain()
