"""The operator's way to each router pod: TLS by the routers' own authority, and a bearer that only it and they know."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.kube import Kube
from ferryml.backends.kubernetes.slices import Place
from ferryml.domain.errors import Unavailable

DOOR = "ferry-router-door"
"""Secret with `ca.pem` and `bearer`, written by the routers, read by the operator."""
NAME = "ferry-router"
"""What the doors' certificate is for, whatever the pod's address."""


def address_of(place: Place) -> str:
    """HOST:PORT of the pod itself."""
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


@dataclass(frozen=True, slots=True)
class DoorWord:
    """What one must know to be let in."""

    authority: str
    bearer: str


def door_word(kube: Kube, namespace: str) -> DoorWord:
    """Raises Unavailable while no router has written it."""
    data = (kube.get(SECRETS, namespace, DOOR) or {}).get("data") or {}
    try:
        return DoorWord(*(base64.b64decode(data[name]).decode() for name in ("ca.pem", "bearer")))
    except (KeyError, ValueError) as error:
        raise Unavailable("Unavailable", "no router has started yet", "See `ferry site doctor`.") from error


class HttpDoors:
    """Asks router pods. Safe between threads.

    Args:
        word: reads the Secret; asked again when a door does not know us or is not known.
        reach: HOST:PORT at which a door is called, where that is not the pod's own address.
        transport: instead of the network.
    """

    def __init__(
        self, word: Callable[[], DoorWord], reach: Callable[[Place], str] = address_of,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._word, self._reach, self._transport = word, reach, transport
        self._lock = threading.Lock()
        self._said: DoorWord | None = None
        self._client: httpx.Client | None = None
        self._before: httpx.Client | None = None
        """Somebody may still be using it."""

    def close(self) -> None:
        with self._lock:
            for client in (self._client, self._before):
                if client is not None:
                    client.close()
            self._said = self._client = self._before = None

    def ask(self, place: Place, path: str, timeout_s: float) -> Mapping[str, Any]:
        """JSON of one door. Raises Unavailable."""
        for known in (True, False):
            try:
                answer = self._open(known).get(
                    f"https://{self._reach(place)}{path}", timeout=timeout_s, extensions={"sni_hostname": NAME}
                )
                if answer.status_code == 401 and known:
                    continue
                answer.raise_for_status()
                said: Mapping[str, Any] = answer.json()
                return said
            except (httpx.HTTPError, ValueError) as error:
                if known and "CERTIFICATE_VERIFY_FAILED" in str(error):
                    continue
                raise _silent(place, error) from error
        raise _silent(place, PermissionError("it does not know the operator"))

    def _open(self, known: bool) -> httpx.Client:
        with self._lock:
            if self._client is not None and known:
                return self._client
            word = self._word()
            if self._client is None or word != self._said:
                if self._before is not None:
                    self._before.close()
                self._before, self._client, self._said = self._client, self._made(word), word
            return self._client

    def _made(self, word: DoorWord) -> httpx.Client:
        return httpx.Client(
            trust_env=False, headers={"authorization": f"Bearer {word.bearer}"},
            transport=self._transport or httpx.HTTPTransport(verify=ssl.create_default_context(cadata=word.authority)),
        )  # fmt: skip


def _silent(place: Place, error: Exception) -> Unavailable:
    return Unavailable("Unavailable", f"router {place.pod} does not answer: {error or type(error).__name__}")
