"""The async client: `from ferryml import AsyncClient`; the same nouns and flows, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

import httpx

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.sdk.flow import Answer, Call, Flow, Pause
from ferryml.sdk.questions import Questions, Trace, found
from ferryml.sdk.sending import Target, may_repeat, opened, pause_before, request_of, unreachable
from ferryml.sdk.uploads import Progress
from ferryml.sdk.wire import error_of

T = TypeVar("T")


class AsyncClient(Questions):
    """As `Client`, but everything it is asked is awaited: `await client.jobs.create(load_job("job.yml"))`.

    Arguments and errors are those of `Client`. Files are read and written in the event loop's thread.
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
        trace: Trace | None = None,
    ) -> None:
        said = {"url": url, "token": token, "workspace": workspace, "context": context}
        place, area = (target, workspace or "default") if target else found(os.environ, said)
        super().__init__(area, progress, self)
        self.target = place
        self._hears = trace
        self._http = httpx.AsyncClient(**self.target.options())  # type: ignore[arg-type] # a mapping of httpx's own names

    def run(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """A coroutine that carries a flow out; errors of a call are raised where the flow waits for its answer."""
        return self._run(flow)

    async def close(self) -> None:
        """Give connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
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
                await asyncio.sleep(step.seconds)
                continue
            try:
                answer = await self._send(step)
            except FerryError as failed:
                error = failed

    async def _send(self, call: Call) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(call)
            except Unavailable:
                if not may_repeat(call, attempt):
                    raise
                await asyncio.sleep(pause_before(attempt))

    async def _once(self, call: Call) -> Answer:
        try:
            response = await self._http.send(request_of(self._http, call), stream=True)
            try:
                if response.is_error or call.save_to is None:
                    await response.aread()
                else:
                    with opened(response, call.save_to) as file:
                        async for chunk in response.aiter_bytes(1 << 20):
                            file.write(chunk)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            url = call.path if "://" in call.path else self.target.url
            raise unreachable(url, error, self.target.proxy) from error
        if self._hears is not None:
            self._hears(f"{call.method} {call.path} -> {response.status_code}")
        if response.is_error:
            raise error_of(response)
        body = b"" if call.save_to is not None else response.content
        return Answer(response.status_code, response.headers, body)
