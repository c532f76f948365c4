"""MLflow's artifact calls, answered by Ferry's own tree: streamed both ways, never whole in memory."""

import mimetypes
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, quote

import anyio
from anyio.from_thread import run as in_loop
from starlette.responses import JSONResponse, Response, StreamingResponse

from ferryml.control.ports import TreeFile
from ferryml.domain.errors import NotFound, Refused, TooLarge
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.guard import Guard, Noun
from ferryml.server.mlflow.tree import ArtifactTree, children, scoped

PREFIX = "/api/2.0/mlflow-artifacts/artifacts"

# Where MLflow itself puts files: a run's, a logged model's, a trace's. Nothing else may be written by clients, so that
# the files of models that Ferry registered stay as they are.
_OWNED = re.compile(
    r"^\d+/(?:(?P<run>[0-9a-f]{32})|models/(?P<model>m-[0-9a-f]{32})|traces/(?P<trace>[^/]+))/artifacts(?:/|$)"
)


class Files:
    """The four artifact calls. All methods are synchronous and run in worker threads.

    Args:
        limit: largest file, in bytes.
    """

    def __init__(self, tree: ArtifactTree, guard: Guard, limit: int) -> None:
        self._tree = tree
        self._guard = guard
        self._limit = limit

    def list(self, caller: Caller, query: str) -> Response:
        folder = scoped(caller.workspace, parse_qs(query).get("path", [""])[0])
        found = children(self._tree.below(caller.workspace, folder), folder)
        files = [
            {"path": name, "is_dir": size is None} | ({} if size is None else {"file_size": size})
            for name, size in found
        ]
        return JSONResponse({"files": files})

    def download(self, caller: Caller, path: str, wanted: str | None) -> Response:
        file = self.found(caller.workspace, path)
        start, end = _span(wanted, file.size)
        headers = _headers(file) | {"Content-Length": str(end - start)}
        if (start, end) == (0, file.size):
            return StreamingResponse(self._tree.read(file), 200, headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        return StreamingResponse(self._tree.read(file, start, end), 206, headers)

    def found(self, workspace: str, path: str) -> TreeFile:
        """Raises NotFound; folders are not files."""
        file = self._tree.find(workspace, scoped(workspace, path))
        if file is None:
            raise NotFound("NotFound", f"No such artifact: {path}")
        return file

    def upload(self, caller: Caller, path: str, chunks: Iterator[bytes]) -> Response:
        inner = self.writable(caller, path)
        self._tree.put(caller.workspace, inner, _limited(chunks, self._limit))
        return JSONResponse({})

    def delete(self, caller: Caller, path: str) -> Response:
        self._tree.delete(caller.workspace, self.writable(caller, path))
        return JSONResponse({})

    def writable(self, caller: Caller, path: str) -> str:
        """The tree's path, if this caller may write there."""
        inner = scoped(caller.workspace, path)
        match = _OWNED.match(inner)
        if match is None:
            raise Refused("PathEscapes", "Files belong to a run, a logged model or a trace.", "Use log_artifact.")
        nouns: tuple[Noun, ...] = ("run", "model", "trace")
        noun = next(noun for noun in nouns if match[noun])
        if not self._guard.exists(caller.workspace, noun, match[noun]):
            raise NotFound("NotFound", f"There is no {noun} {match[noun]} in workspace {caller.workspace}.")
        self._guard.own_job(caller, [(noun, match[noun])])
        return inner


def incoming(receive: Callable[[], Any]) -> Iterator[bytes]:
    """A request's body, for use in a worker thread. A sender that goes away is an error, not an end."""
    more = True
    while more:
        message = in_loop(receive)
        if message["type"] == "http.disconnect":
            raise Refused("BadRequest", "The upload was cut off.", "Send it again.")
        if body := message.get("body", b""):
            yield body
        more = message.get("more_body", False)


async def in_thread(work: Callable[[], Response], limiter: anyio.CapacityLimiter) -> Response:
    return await anyio.to_thread.run_sync(work, limiter=limiter)


def _limited(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge("UploadTooLarge", f"A file may have at most {limit} bytes.")
        yield chunk


def _span(wanted: str | None, size: int) -> tuple[int, int]:
    """Start and end of `Range: bytes=A-B`; the whole file for anything else, as HTTP allows."""
    match = re.fullmatch(r"bytes=(\d{1,18})-(\d{0,18})", wanted or "")
    if match is None or int(match[1]) >= size:
        return 0, size
    return int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)


def _headers(file: TreeFile) -> dict[str, str]:
    name = file.path.rsplit("/", 1)[-1]
    return {
        "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
        # An attachment, so that no browser runs what a job wrote.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.digest}"',
    }
