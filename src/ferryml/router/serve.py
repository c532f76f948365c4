"""One prediction, from the caller's bytes to the answer: with the codes and limits of Azure ML."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ferryml.domain import predictions
from ferryml.domain.errors import FerryError, NotFound, Refused, Unavailable
from ferryml.domain.routes import EndpointRoute, RevisionRoute
from ferryml.router import http1
from ferryml.router.forward import Absent, Answer, Broken, ask
from ferryml.router.haproxy.copies import Copy
from ferryml.router.live import LiveEndpoint, LiveRevision

MAX_CAPTURE_BYTES = 4096
NO_REVISION = "0" * 10

_PATH = re.compile(
    r"/api/v1/(?:endpoint|service)/([A-Za-z][-A-Za-z0-9]{0,63})"
    r"/(?:(score)((?:/(?!\.{1,2}(?:/|$))[-A-Za-z0-9._~:+=,]+){0,16})|(swagger\.json))"
)
_CLIENT_ID = re.compile(r"[-_A-Za-z0-9]{1,40}")
_OURS = frozenset(
    {"x-request-id", "x-ms-request-id", "x-ms-client-request-id", "azureml-model-deployment", "server", "date"}
)


class BadGateway(FerryError):
    """The model's program raised, ended or answered nonsense."""

    status = 502


class Late(FerryError):
    """The model's program did not answer in time."""

    status = 504


@dataclass(slots=True)
class Call:
    """One request while it is served."""

    head: http1.Head
    endpoint: str
    verb: str
    query: str
    below: str = ""
    """Path behind the scoring path."""
    request_id: str = ""
    deployment: str = ""
    body: bytes = b""
    answer_headers: http1.Headers = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Limits:
    """What holds for every request."""

    connect_timeout_s: float
    max_body_bytes: int
    mirror_queue: int
    mirror_body_bytes: int


Capture = Callable[[str, str, str, str], None]
"""(uid, request id, revision, prediction as JSON): must not block and must not raise."""


Record = Callable[[EndpointRoute, RevisionRoute, Copy], None]
"""A request with its answer, for the record: must not block and must not raise."""


def route_of(head: http1.Head) -> Call:
    """Which endpoint is asked for what; raises NotFound, Refused."""
    path, _, query = head.target.partition("?")
    found = _PATH.fullmatch(path)
    if not found:
        raise NotFound("NotFound", "this router answers /api/v1/endpoint/NAME/score", "Use the endpoint's scoring_uri.")
    verb = found[2] or found[4]
    allowed = ("POST", "GET") if verb == "score" else ("GET",)
    if head.method not in allowed:
        raise Refused("BadRequest", f"use {' or '.join(allowed)}", details={"http": 405})
    return Call(
        head, found[1], verb, query, deployment=head.get("azureml-model-deployment"), below=(found[3] or "").lstrip("/")
    )


def ids(call: Call) -> http1.Headers:
    """The headers by which a request can be found again."""
    said = call.head.get("x-ms-client-request-id")
    echo = [("x-ms-client-request-id", said)] if _CLIENT_ID.fullmatch(said) else []
    return [("x-request-id", call.request_id), ("x-ms-request-id", call.request_id), *echo]


def error_answer(error: FerryError, request_id: str) -> tuple[int, bytes]:
    """(status, body) in the one error shape."""
    status = int(error.details.get("http", error.status))
    details = {key: value for key, value in error.details.items() if key != "http"}
    body = {"error": {**error.as_dict(), "details": details}, "request_id": request_id}
    return status, json.dumps(body).encode()


class Scorer:
    """Serves calls against live endpoints; holds no state but copies under way."""

    def __init__(
        self, limits: Limits, draw: Callable[[], float], new_hex: Callable[[], str], capture: Capture,
        record: Record | None = None,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._record = record
        self._draw = draw
        self._new_hex = new_hex
        self._capture = capture
        self._copying: set[asyncio.Task[None]] = set()

    def name_request(self, revision: str = NO_REVISION) -> str:
        """A new request id; its first part says who answered."""
        return f"{revision}-{self._new_hex()}"

    async def score(self, endpoint: LiveEndpoint, call: Call) -> Answer:
        """The answer of the revision that weight or header chose. Raises FerryError with its code."""
        revision = endpoint.pick(call.deployment, self._draw())
        call.request_id = self.name_request(revision.route.revision)
        call.answer_headers.append(("azureml-model-deployment", revision.route.deployment))
        if call.below and not revision.route.scoring_path.endswith("/"):
            raise NotFound(
                "NotFound", "this deployment answers at its scoring path alone",
                "Only what is below a scoring path that ends with / can be asked, as of Triton servers.",
            )  # fmt: skip
        if call.verb != "score":
            return await self._reach(revision, _payload(call, revision))
        started = time.monotonic()
        status, reached = 500, True
        try:
            answer = await self._reach(revision, _payload(call, revision))
            status = answer.status
        except FerryError as error:
            status, reached = error.status, not isinstance(error, Unavailable)
            raise
        finally:
            if call.deployment:
                revision.tally.direct += 1
            else:
                revision.tally.answered(status, (time.monotonic() - started) * 1000, reached)
        return answer

    def afterwards(self, endpoint: LiveEndpoint, call: Call, answer: Answer) -> None:
        """What nobody waits for: keep the prediction, copy the request to shadows."""
        if call.verb != "score" or answer.status != 200:
            return
        revision = endpoint.revisions.get(call.request_id.partition("-")[0])
        if revision is None:
            return
        if revision.route.capture and len(answer.body) <= MAX_CAPTURE_BYTES:
            try:
                predicted = json.dumps(predictions.prediction(answer.body))
                self._capture(endpoint.route.uid, call.request_id, revision.route.revision, predicted)
            except ValueError:
                pass
        if self._record is not None and self._draw() < revision.route.collect:
            self._record(endpoint.route, revision.route, self._written(call, answer))
        if not call.deployment and not call.below:
            for shadow in endpoint.shadows(revision, self._draw):
                self._copy(shadow, call, answer)

    def _written(self, call: Call, answer: Answer) -> Copy:
        most = self._limits.mirror_body_bytes
        body, said = (part if len(part) <= most else None for part in (call.body, answer.body))
        headers = [(key, value) for key, value in call.head.headers if key not in http1.HOP_BY_HOP]
        return Copy(call.request_id, "", False, True, call.head.method, call.query, headers, body, said)

    async def stop(self) -> None:
        """Give up copies under way."""
        for task in self._copying:
            task.cancel()
        await asyncio.gather(*self._copying, return_exceptions=True)

    async def _reach(self, revision: LiveRevision, payload: bytes) -> Answer:
        route = revision.route
        give_up = time.monotonic() + route.max_queue_wait_ms / 1000
        while True:
            slot = await revision.pool.acquire(max(0.0, give_up - time.monotonic()))
            try:
                async with asyncio.timeout(route.request_timeout_ms / 1000):
                    answer = await ask(
                        slot.upstream, payload, self._limits.connect_timeout_s, self._limits.max_body_bytes
                    )
                return _judged(answer)
            except Absent:
                revision.pool.refused(slot)
            except TimeoutError as error:
                words = f"the model took longer than {route.request_timeout_ms} ms"
                raise Late("ModelTimeout", words, "Raise request_settings.request_timeout_ms.") from error
            except Broken as error:
                raise BadGateway(
                    "ModelFailed", "the model's program ended during the request", "See get-logs."
                ) from error
            finally:
                revision.pool.release(slot)

    def _copy(self, shadow: LiveRevision, call: Call, live: Answer) -> None:
        if shadow.copies >= self._limits.mirror_queue or len(call.body) > self._limits.mirror_body_bytes:
            shadow.tally.mirror_dropped += 1
            return
        shadow.copies += 1
        task = asyncio.get_running_loop().create_task(self._mirror(shadow, _payload(call, shadow), live.body))
        self._copying.add(task)
        task.add_done_callback(self._copying.discard)

    async def _mirror(self, shadow: LiveRevision, payload: bytes, live: bytes) -> None:
        wait_s = max(shadow.route.request_timeout_ms, shadow.route.max_queue_wait_ms) / 1000 + 1
        try:
            slot = await shadow.pool.acquire(wait_s, patient=True)
        except Unavailable:
            shadow.tally.mirror_dropped += 1
            shadow.copies -= 1
            return
        started = time.monotonic()
        verdict: predictions.Likeness | None = None
        try:
            async with asyncio.timeout(shadow.route.request_timeout_ms / 1000):
                answer = await ask(slot.upstream, payload, self._limits.connect_timeout_s, self._limits.max_body_bytes)
            if answer.status < 500:
                verdict = predictions.compare(live, answer.body) if answer.status == 200 else predictions.DIFFERENT
        except (Absent, Broken, TimeoutError):
            pass
        finally:
            shadow.pool.release(slot)
            shadow.copies -= 1
        shadow.tally.copied((time.monotonic() - started) * 1000, verdict)


def passed_on(answer: Answer) -> http1.Headers:
    """The model's own headers that its caller gets, and what they are called when it refused the request."""
    kept = [(k, v) for k, v in answer.headers if k not in http1.HOP_BY_HOP and k not in _OURS]
    if answer.status >= 400:
        kept += _model_error(answer)
    return kept


def _judged(answer: Answer) -> Answer:
    if answer.status < 500:
        return answer
    said = answer.body[:500].decode("utf-8", "replace")
    raise BadGateway(
        "ModelFailed", f"the model's program answered {answer.status}",
        "See `ferry online-deployment get-logs` for the traceback.",
        {"model_status": answer.status, "model_answer": said, "headers": _model_error(answer)},
    )  # fmt: skip


def _model_error(answer: Answer) -> http1.Headers:
    return [
        ("ms-azureml-model-error-statuscode", str(answer.status)),
        ("ms-azureml-model-error-reason", answer.reason or "model_error"),
    ]


def _payload(call: Call, revision: LiveRevision) -> bytes:
    """The request as the model sees it: without the key, with our id."""
    kept = [
        (key, value)
        for key, value in call.head.headers
        if key not in http1.HOP_BY_HOP and key not in {"authorization", "x-request-id", "azureml-model-deployment"}
    ]
    path = revision.route.scoring_path + call.below if call.verb == "score" else revision.route.swagger_path
    target = f"{path}?{call.query}" if call.query else path
    headers = [("host", "localhost"), ("x-request-id", call.request_id), *kept]
    return http1.render_request(call.head.method, target, headers, call.body)
