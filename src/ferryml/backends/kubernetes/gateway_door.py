"""The agent's side of a gateway that is a program of its own: HTTPS as a service account, news by long poll."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import httpx
from pydantic import TypeAdapter

from ferryml.compile.kubernetes.names import pod_prefix
from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused, Unauthenticated, Unavailable
from ferryml.domain.orders import Json, TreeRef
from ferryml.domain.seen import EnvSeen, Receipt
from ferryml.domain.statuses import Accuracy

log = logging.getLogger(__name__)

PULSE_S = 25.0
RETRY_S = 2.0
_CODES = frozenset(get_args(Code))
_BY_STATUS: dict[int, type[Refused]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict}
_ACCURACY = TypeAdapter(dict[str, dict[str, tuple[Accuracy, Accuracy]]])
_OUTPUTS = TypeAdapter(dict[str, TreeRef])
Key = tuple[str, int]
Params = Mapping[str, str | int | float]


class ClusterDoor(Protocol):
    """What the backend asks of the gateway beside `agent.ports.GatewayDoor`."""

    def admit_pods(self, uid: str, attempt: int, grant: str, namespace: str, prefix: str, kind: str = "job") -> str: ...
    def allow_sources(self, uid: str, sources: Mapping[str, Mapping[str, Json]]) -> None: ...
    def close_attempt(self, uid: str, attempt: int, exit_code: int) -> None: ...
    def states(self, uid: str, attempt: int) -> Mapping[int, dict[str, Any]]: ...
    def prepared(self, key: str) -> dict[str, Json] | None: ...
    def built(self, key: str) -> str: ...
    def keep_built(self, key: str, image: str) -> None: ...
    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None: ...


class HttpGatewayDoor:
    """`agent.ports.GatewayDoor`; what pods told the gateway is remembered until its pulse says that there is news.

    Args:
        url: where pods reach the gateway.
        call_url: where the agent does.
        authority: PEM text of the gateway's own authority.
        token: the agent's token for the audience `ferry-gateway-admin`.
        heard: told of which uid there is news; empty: of any.
        transport: instead of the network.
    """

    def __init__(
        self, url: str, call_url: str, authority: str, token: Callable[[], str],
        heard: Callable[[str], None] = lambda uid: None, transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._url, self._token, self.heard = url.rstrip("/"), token, heard
        self._client = httpx.Client(
            base_url=call_url.rstrip("/"), trust_env=False,
            transport=transport or httpx.HTTPTransport(verify=ssl.create_default_context(cadata=authority)),
        )  # fmt: skip
        self._lock = threading.Lock()
        self._receipts: dict[Key, Receipt | None] = {}
        self._states: dict[Key, dict[int, dict[str, Any]]] = {}
        self._environments: dict[str, EnvSeen] = {}
        self._sequence = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ferry-pulse", daemon=True)

    @property
    def url(self) -> str:
        return self._url

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._client.close()

    def admit(self, uid: str, attempt: int, grant: str, namespace: str = "") -> str:
        return self.admit_pods(uid, attempt, grant, namespace, pod_prefix(uid, attempt))

    def admit_pods(self, uid: str, attempt: int, grant: str, namespace: str, prefix: str, kind: str = "job") -> str:
        """As `admit`, for pods that are named otherwise: preparations."""
        body = {"uid": uid, "attempt": attempt, "grant": grant, "namespace": namespace, "prefix": prefix, "kind": kind}
        self._send("POST", "/admin/v1/admit", json=body)
        self._forget((uid, attempt))
        return ""

    def allow_sources(self, uid: str, sources: Mapping[str, Mapping[str, Json]]) -> None:
        """What the gateway may fetch for this job from outside of the site, by the names of its plan."""
        if sources:
            self._send("POST", "/admin/v1/sources", json={"uid": uid, "sources": sources})

    def close_attempt(self, uid: str, attempt: int, exit_code: int) -> None:
        """Nobody of it can say anything more: what the gateway has is all there will be."""
        self._send("POST", "/admin/v1/close", json={"uid": uid, "attempt": attempt, "exit_code": exit_code})
        self._forget((uid, attempt))

    def renew(self, uid: str, grant: str) -> None:
        self._send("POST", "/admin/v1/renew", json={"uid": uid, "grant": grant})

    def dismiss(self, uid: str) -> None:
        self._send("POST", "/admin/v1/dismiss", json={"uid": uid})
        with self._lock:
            for key in [key for key in {*self._receipts, *self._states} if key[0] == uid]:
                self._receipts.pop(key, None)
                self._states.pop(key, None)

    def receipt(self, uid: str, attempt: int) -> Receipt | None:
        """None also while the gateway does not answer: it is asked again."""
        key = (uid, attempt)
        with self._lock:
            if key in self._receipts:
                return self._receipts[key]
            sequence = self._sequence
        try:
            found = self._send("GET", "/admin/v1/receipt", params={"uid": uid, "attempt": attempt}).json()
        except Unavailable:
            return None
        receipt = None if found is None else Receipt.model_validate(found)
        with self._lock:
            if sequence == self._sequence:
                self._receipts[key] = receipt
        return receipt

    def states(self, uid: str, attempt: int) -> Mapping[int, dict[str, Any]]:
        """Rank -> what its pod said last; empty while the gateway does not answer."""
        key = (uid, attempt)
        with self._lock:
            if key in self._states:
                return self._states[key]
            sequence = self._sequence
        try:
            found = self._send("GET", "/admin/v1/states", params={"uid": uid, "attempt": attempt}).json()
        except (Unavailable, NotFound):
            return {}
        states = {int(rank): dict(state) for rank, state in (found or {}).items()}
        with self._lock:
            if sequence == self._sequence:
                self._states[key] = states
        return states

    def outputs(self, uid: str, attempt: int) -> dict[str, TreeRef]:
        params: Params = {"uid": uid, "attempt": attempt}
        return _OUTPUTS.validate_json(self._send("GET", "/admin/v1/outputs", params=params).content)

    def lived(self, uid: str) -> int:
        return int(self._send("GET", "/admin/v1/lived", params={"uid": uid}).json()["attempt"])

    def fetch(self, digest: str, grant: str) -> Path:
        raise Refused("NotSupported", "a cluster's agent has no disk; pods fetch for themselves")

    def read(self, digest: str, grant: str) -> bytes:
        """A manifest, or a small file; the gateway fetches it if need be."""
        params: Params = {"digest": digest, "grant": grant}
        return self._send("GET", "/admin/v1/content", params=params).content

    def model(self, key: str, grant: str) -> TreeRef:
        """A model on a datastore; Unavailable while the gateway fetches it."""
        return TreeRef.model_validate_json(
            self._send("POST", "/admin/v1/model", json={"key": key, "grant": grant}).content
        )

    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None:
        params: Params = {"uid": uid, "attempt": attempt, "path": path}
        self._send("POST", "/admin/v1/log", params=params, content=data)

    def prepared(self, key: str) -> dict[str, Json] | None:
        """What the gateway holds of an environment; None when there is none. Raises Unavailable."""
        try:
            found: dict[str, Json] = self._send("GET", "/v1/environment", params={"key": key}).json()
        except NotFound:
            return None
        return found

    def built(self, key: str) -> str:
        """The image that was built under this key, by digest; empty when none was. Raises Unavailable."""
        return str(self._send("GET", "/admin/v1/image", params={"key": key}).json()["image"])

    def keep_built(self, key: str, image: str) -> None:
        """Raises Unavailable."""
        self._send("POST", "/admin/v1/image", json={"key": key, "image": image})

    def put_predictions(self, given: list[tuple[str, str, str, str]]) -> None:
        """(uid, request id, revision, prediction as JSON text); on disk when this returns. Raises Unavailable."""
        self._send("POST", "/admin/v1/predictions", json={"predictions": given})

    def join_labels(self, uid: str, labels: tuple[tuple[str, str], ...]) -> tuple[int, int]:
        """(matched, unmatched). Raises Unavailable."""
        said = self._send("POST", "/admin/v1/labels", json={"uid": uid, "labels": labels}).json()
        return int(said["matched"]), int(said["unmatched"])

    def accuracy(self) -> dict[str, dict[str, tuple[Accuracy, Accuracy]]]:
        """uid -> revision -> (all labels, the last 1,000). Raises Unavailable."""
        return _ACCURACY.validate_python(self._send("GET", "/admin/v1/accuracy").json())

    def forget_predictions(self, uid: str) -> None:
        """All of an endpoint. Raises Unavailable."""
        self._send("POST", "/admin/v1/predictions/forget", json={"uid": uid})

    def _listen(self) -> None:
        lost = False
        while not self._stopping.is_set():
            try:
                params: Params = {"after": self._sequence, "wait": PULSE_S}
                answer = self._send("GET", "/admin/v1/pulse", params=params, timeout_s=PULSE_S + 15).json()
                self._news(int(answer["sequence"]), answer.get("changed"))
                lost = False
            except (FerryError, ValueError, KeyError) as error:
                if not self._stopping.is_set():
                    if not lost:
                        log.warning("the gateway's pulse is lost: %s", error)
                    lost = True
                    self._news(0, None)
                    self._stopping.wait(RETRY_S)

    def _news(self, sequence: int, changed: list[list[Any]] | None) -> None:
        """`changed` None: anything may have."""
        with self._lock:
            if sequence == self._sequence and sequence:
                return
            self._sequence = sequence
            keys = None if changed is None else [(str(uid), int(attempt)) for uid, attempt in changed]
            if keys is None:
                self._receipts.clear()
                self._states.clear()
            for key in keys or ():
                self._receipts.pop(key, None)
                self._states.pop(key, None)
        for uid in {""} if keys is None else {uid for uid, _ in keys}:
            self.heard(uid)

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._receipts.pop(key, None)
            self._states.pop(key, None)

    def _send(
        self, method: str, path: str, *, params: Params | None = None, json: Any = None,
        content: bytes | None = None, timeout_s: float = 30,
    ) -> httpx.Response:  # fmt: skip
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            response = self._client.request(
                method, path, params=params, json=json, content=content, headers=headers,
                timeout=httpx.Timeout(timeout_s, connect=5),
            )  # fmt: skip
        except (httpx.HTTPError, RuntimeError) as error:
            why = str(error) or type(error).__name__
            raise Unavailable("Unavailable", f"the site's gateway did not answer: {why}") from error
        if not response.is_success:
            raise _error_of(response)
        return response


def _error_of(response: httpx.Response) -> FerryError:
    try:
        body = response.json()["error"]
        message, hint, code = str(body["message"]), str(body.get("hint") or ""), body.get("code")
    except (ValueError, KeyError, TypeError):
        message, hint, code = f"the gateway answered {response.status_code}", "", None
    known = cast(Code, code) if code in _CODES else None
    if response.status_code == 429 or response.status_code >= 500:
        return Unavailable(known or "Unavailable", message, hint)
    return _BY_STATUS.get(response.status_code, Refused)(known or "BadRequest", message, hint)
