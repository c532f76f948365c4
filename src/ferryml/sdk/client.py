"""The blocking client: `from ferryml import Client`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.sdk import collections as nouns
from ferryml.sdk.config import locate
from ferryml.sdk.flow import Answer, Call, Flow, Json, Pause, get, listed, send
from ferryml.sdk.sending import Target, may_repeat, pause_before, unreachable
from ferryml.sdk.uploads import Progress
from ferryml.sdk.wire import error_of

T = TypeVar("T")


class Client:
    """A workspace of a Ferry server.

    Args:
        url: of the server; None = FERRY_URL, else the current context, else a `.ferry` folder made by `ferry up`.
        token: None = FERRY_TOKEN, else found beside the url.
        workspace: None = FERRY_WORKSPACE, else the context's, else `default`.
        context: a remembered server (`ferry context list`); None = FERRY_CONTEXT, else the current one.
        target: address, token and certificates at once, instead of url and token.
        progress: hears (bytes done, bytes in all) while files are sent or fetched.
        trace: hears a line for each call and its answer.

    All methods raise `FerryError` (`Refused`, `Unavailable`, `Defect`) with a code of docs/errors.md and a hint.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        workspace: str | None = None,
        *,
        context: str | None = None,
        target: Target | None = None,
        progress: Progress | None = None,
        trace: Callable[[str], object] | None = None,
    ) -> None:
        found = locate(dict(os.environ), Path.cwd(), url=url, token=token, workspace=workspace, context=context)
        self.target = target or found.target
        self.workspace = workspace or found.workspace
        self.progress = progress
        self._trace = trace
        self._http = httpx.Client(**self.target.options())  # type: ignore[arg-type] # a mapping of httpx's own names
        self.jobs = nouns.Jobs(self)
        self.data = nouns.Assets(self, "datas")
        self.models = nouns.Assets(self, "models")
        self.environments = nouns.Assets(self, "environments")
        self.codes = nouns.Assets(self, "codes")
        self.datastores = nouns.Named(self, "datastores")
        self.computes = nouns.Named(self, "computes")
        self.online_endpoints = nouns.Endpoints(self)
        self.online_deployments = nouns.Deployments(self)
        self.rollouts = nouns.Rollouts(self)
        self.automations = nouns.Automations(self)
        self.tokens = nouns.Tokens(self)
        self.sites = nouns.Sites(self)
        self.workspaces = nouns.Workspaces(self)

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow out; errors of a call are raised where the flow waits for its answer."""
        answer: Answer | None = None
        error: FerryError | None = None
        while True:
            try:
                step = flow.throw(error) if error else flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer, error = None, None
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                answer = self._send(step)
            except FerryError as failed:
                error = failed

    def whoami(self) -> Json:
        """Name, role and workspace of the token."""
        return self.run(get("/api/v1/whoami"))

    def version(self) -> Json:
        """The server's version and protocol."""
        return self.run(get("/api/v1/version"))

    def trace(self, request_id: str) -> Json:
        """From a prediction to deployment, model, job, code and data."""
        return self.run(get(f"/api/v1/workspaces/{self.workspace}/trace/{request_id}"))

    def lineage(self, node: str, direction: str = "up") -> Json:
        """What `node` (such as `model:digits:2`) came from (`up`) or went into (`down`)."""
        return self.run(get(f"/api/v1/workspaces/{self.workspace}/lineage", node=node, direction=direction))

    def events(self, after: int = 0, subject: str | None = None, limit: int = 100) -> list[Json]:
        """What happened, oldest first."""
        path = f"/api/v1/workspaces/{self.workspace}/events"
        return list(_items(self.run(get(path, after=after, subject=subject, limit=limit))))

    def audit(self, limit: int = 100) -> list[Json]:
        """Who changed what."""
        return self.run(listed(f"/api/v1/workspaces/{self.workspace}/audit", limit))

    def aliases(self) -> Json:
        """The workspace's alias tables."""
        return self.run(get(f"/api/v1/workspaces/{self.workspace}/aliases"))

    def set_aliases(self, tables: Mapping[str, Any]) -> Json:
        """Replace the alias tables: computes, environments, images."""
        return self.run(send("PUT", f"/api/v1/workspaces/{self.workspace}/aliases", dict(tables)))

    def close(self) -> None:
        """Give connections back."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, call: Call) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(call)
            except Unavailable:
                if not may_repeat(call, attempt):
                    raise
                time.sleep(pause_before(attempt))

    def _once(self, call: Call) -> Answer:
        request = self._http.build_request(
            call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers),
            timeout=httpx.Timeout(call.timeout_s, connect=10),
        )  # fmt: skip
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.is_error or call.save_to is None:
                    response.read()
                else:
                    _save(response, call.save_to)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise unreachable(call.path if "://" in call.path else self.target.url, error) from error
        if self._trace is not None:
            self._trace(f"{call.method} {call.path} -> {response.status_code}")
        if response.is_error:
            raise error_of(response)
        body = b"" if call.save_to is not None else response.content
        return Answer(response.status_code, response.headers, body)


def _items(page: Json) -> Iterable[Json]:
    """The items of a page."""
    items: list[Json] = page["items"]
    return items


def _save(response: httpx.Response, path: str) -> None:
    mode = "ab" if response.status_code == 206 else "wb"
    with Path(path).open(mode) as file:
        for chunk in response.iter_bytes(1 << 20):
            file.write(chunk)


def stdout_bytes(data: bytes) -> None:
    """Copies log bytes to standard output as they are, whatever their encoding."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
