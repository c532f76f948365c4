"""The ASGI application at /mlflow: who calls, whether they may, and then the real MLflow."""

import base64
import binascii
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import anyio
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryml.domain.errors import FerryError, Forbidden, TooLarge, Unavailable
from ferryml.server.mlflow.callers import Authorise, Caller
from ferryml.server.mlflow.context import inside, mlflow_name
from ferryml.server.mlflow.door import SPANS, Door, Route, error_body, workspace_header
from ferryml.server.mlflow.files import PREFIX, Files, in_thread, incoming
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.spans import forward, spans_app
from ferryml.server.mlflow.tree import ArtifactTree
from ferryml.server.mlflow.wsgi import Request, respond

MIB = 1024**2
THREADS = 12
"""MLflow calls at work at once: fewer than the connections of its database pool (15)."""

CARRIERS = 40
"""Files on their way in at once; senders may be slow, so they never hold the threads above."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Bytes."""

    body: int = 16 * MIB
    file: int = 100 * 1024 * MIB


def build(database_url: str, authorise: Authorise, artifacts: ArtifactTree, limits: Limits | None = None) -> ASGIApp:
    """MLflow on its own database, ready to be mounted at /mlflow. One per process."""
    return MlflowApp(MlflowHost(database_url, artifacts), authorise, limits or Limits())


class MlflowApp:
    """Mount it: `app.mount("/mlflow", MlflowApp(host, authorise))`."""

    def __init__(self, host: MlflowHost, authorise: Authorise, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._host = host
        self._authorise = authorise
        self._door = Door(host.flask, host.guard, limits.body, host.default_experiment)
        self._files = Files(host.tree, host.guard, limits.file)
        self._spans = spans_app()
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._carriers = anyio.CapacityLimiter(CARRIERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._serve(scope, receive, watched)
        except FerryError as error:
            if begun:
                raise
            await _refusal(error)(scope, receive, send)
        except (MlflowException, OperationalError) as error:
            if begun:
                raise
            await _refusal(_foreign(error))(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        mount, path = _split(scope)
        headers = Headers(scope=scope)
        caller = await anyio.to_thread.run_sync(partial(self._enter, scope, headers), limiter=self._limiter)
        route = self._door.route(scope["method"], path)
        with inside(caller.workspace):
            if route.rule.startswith(PREFIX):
                response = await self._file(scope, receive, caller, route)
                return await response(scope, receive, send)
            request = Request(
                method=scope["method"], path=path, query=scope["query_string"].decode("latin-1"), mount=mount,
                headers=_plain(headers), body=await _body(receive, self._door.limit),
            )  # fmt: skip
            request = await anyio.to_thread.run_sync(self._door.admit, caller, route, request, limiter=self._limiter)
            if route.rule == SPANS:
                return await forward(self._spans, scope, request, send)
            if route.rule.startswith("/api/3.0/mlflow/workspaces"):
                return await _own_workspace(caller, route)(scope, receive, send)
            await respond(self._host.flask, request, send, self._limiter)

    def _enter(self, scope: Scope, headers: Headers) -> Caller:
        _same_origin(scope["method"], headers)
        caller = self._authorise(_bearer(headers))
        workspace_header(caller, headers)
        self._host.ensure_workspace(caller.workspace)
        return caller

    async def _file(self, scope: Scope, receive: Receive, caller: Caller, route: Route) -> Response:
        method, query = scope["method"], scope["query_string"].decode("latin-1")
        self._door.admit(caller, route, Request(method, scope["path"]))
        path = str(route.arguments.get("artifact_path", ""))
        work: Callable[[], Response]
        if method == "PUT":
            work = partial(self._files.upload, caller, path, incoming(receive))
        elif method == "DELETE":
            work = partial(self._files.delete, caller, path)
        elif path:
            work = partial(self._files.download, caller, path, Headers(scope=scope).get("range"))
        else:
            work = partial(self._files.list, caller, query)
        return await in_thread(work, self._carriers)


def _split(scope: Scope) -> tuple[str, str]:
    """Mount point and path below it; the trailing slash of the mount is MLflow's front page."""
    mount = str(scope.get("root_path", "")).rstrip("/")
    path = str(scope["path"])
    return mount, (path.removeprefix(mount) if mount else path) or "/"


def _bearer(headers: Headers) -> Headers:
    """Browsers and MLFLOW_TRACKING_PASSWORD can only say Basic: then the password is the token."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return headers
    try:
        token = base64.b64decode(value, validate=True).partition(b":")[2]
    except binascii.Error:
        return headers
    others = [(name, text) for name, text in headers.raw if name.lower() != b"authorization"]
    return Headers(raw=[*others, (b"authorization", b"Bearer " + token)])


def _same_origin(method: str, headers: Headers) -> None:
    """A browser repeats Basic credentials by itself, so another site's page must not be able to write."""
    origin = headers.get("origin")
    if method not in ("GET", "HEAD") and origin and urlsplit(origin).netloc != headers.get("host", ""):
        raise Forbidden("Forbidden", "Another site's page may not write here.", "Call from the same origin.")


def _plain(headers: Headers) -> dict[str, str]:
    """What MLflow needs of the headers: neither the token nor a workspace of the client's choosing."""
    kept = dict(headers.items())
    for name in ("authorization", "cookie", "x-mlflow-workspace"):
        kept.pop(name, None)
    return kept


async def _body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge("UploadTooLarge", f"A request may have at most {limit} bytes.", "Log in smaller batches.")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _own_workspace(caller: Caller, route: Route) -> Response:
    """MLflow would list everybody's."""
    own = {"name": mlflow_name(caller.workspace), "description": f"Ferry workspace {caller.workspace}"}
    wanted = route.arguments.get("workspace_name")
    if wanted is None:
        return JSONResponse({"workspaces": [own]})
    if wanted != own["name"]:
        raise Forbidden("Forbidden", f"This token is not for workspace {wanted}.")
    return JSONResponse({"workspace": own})


def _foreign(error: Exception) -> FerryError:
    log.error("MLflow's database: %s", type(error).__name__)
    return Unavailable("Unavailable", "MLflow's database does not answer.", "Try again in a moment.")


def _refusal(error: FerryError) -> Response:
    ask = {"WWW-Authenticate": 'Basic realm="Ferry: any user name, a token as password"'}
    if error.status >= 500:
        log.error("MLflow: %s", error.message)
    return JSONResponse(error_body(error), error.status, ask if error.status == 401 else {})
