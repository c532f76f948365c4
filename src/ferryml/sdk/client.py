"""The blocking client: `from ferryml import Client`."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TypeVar

import httpx

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.sdk.flow import Answer, Call, Flow, Pause
from ferryml.sdk.questions import Questions, Trace, found
from ferryml.sdk.sending import Target, may_repeat, opened, pause_before, request_of, unreachable
from ferryml.sdk.uploads import Progress
from ferryml.sdk.wire import error_of

T = TypeVar("T")


class Client(Questions):
    """A workspace of a Ferry server.

    Args:
        url: of the server; None = FERRY_URL, else a `.ferry` folder made by `ferry up`, else the current context.
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
        trace: Trace | None = None,
    ) -> None:
        said = {"url": url, "token": token, "workspace": workspace, "context": context}
        place, area = (target, workspace or "default") if target else found(os.environ, said)
        super().__init__(area, progress, self)
        self.target = place
        self._hears = trace
        self._http = httpx.Client(**self.target.options())  # type: ignore[arg-type] # a mapping of httpx's own names

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
        try:
            response = self._http.send(request_of(self._http, call), stream=True)
            try:
                if response.is_error or call.save_to is None:
                    response.read()
                else:
                    with opened(response, call.save_to) as file:
                        for chunk in response.iter_bytes(1 << 20):
                            file.write(chunk)
            finally:
                response.close()
        except httpx.HTTPError as error:
            url = call.path if "://" in call.path else self.target.url
            raise unreachable(url, error, self.target.proxy) from error
        if self._hears is not None:
            self._hears(f"{call.method} {call.path} -> {response.status_code}")
        if response.is_error:
            raise error_of(response)
        body = b"" if call.save_to is not None else response.content
        return Answer(response.status_code, response.headers, body)


def stdout_bytes(data: bytes) -> None:
    """Copies log bytes to standard output as they are, whatever their encoding."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
