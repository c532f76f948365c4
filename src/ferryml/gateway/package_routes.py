"""HTTP of the package door: PEP 503, 658 and 691 pages and files, and conda channels, for whoever was let in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from ferryml.gateway.door import Door
from ferryml.gateway.http import Row, token_of
from ferryml.gateway.packages import Found, Packages

BASE = "/v1/packages"
FILES = f"{BASE}/files"
THREADS = 64
GET = ["GET", "HEAD"]
T = TypeVar("T")


class PackageRoutes:
    """Threads of their own: a resolver asks for many pages at once, and indexes may be slow."""

    def __init__(self, door: Door, packages: Packages) -> None:
        self._door, self._packages = door, packages
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ferry-packages")

    def table(self) -> list[Row]:
        return [
            (f"{BASE}/simple/{{project}}/", self.page, GET),
            (f"{BASE}/simple/{{project}}", self.page, GET),
            (f"{FILES}/{{signature}}/{{said}}/{{name}}", self.file, GET),
            ("/v1/conda", self.channels, GET),
            ("/v1/conda/{path:path}", self.conda, GET),
        ]

    async def page(self, request: Request) -> Response:
        project = request.path_params["project"]
        body, kind = await self._work(request, lambda: self._packages.page(project))
        return Response(body, media_type=kind)

    async def file(self, request: Request) -> Response:
        parts = [request.path_params[name] for name in ("signature", "said", "name")]
        return _answer(request, await self._work(request, lambda: self._packages.file(*parts)))

    async def channels(self, request: Request) -> Response:
        return JSONResponse({"channel": await self._work(request, lambda: self._packages.has_channels)})

    async def conda(self, request: Request) -> Response:
        path = request.path_params["path"]
        return _answer(request, await self._work(request, lambda: self._packages.conda(path)))

    async def _work(self, request: Request, work: Callable[[], T]) -> T:
        token = token_of(request)

        def both() -> T:
            self._door.who(token)
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._threads, both)


def _answer(request: Request, found: Found) -> Response:
    if found.path is not None:
        return FileResponse(found.path, media_type=found.kind)
    assert found.stream is not None  # noqa: S101 - one of the two; this tells the type checker
    headers = {"Content-Length": found.size} if found.size else {}
    if request.method == "HEAD":
        found.close()
        return Response(headers=headers, media_type=found.kind)
    return StreamingResponse(found.stream, headers=headers, media_type=found.kind)
