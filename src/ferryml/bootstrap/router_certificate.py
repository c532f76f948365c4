"""The certificate of the scoring address, from files or a Secret that others renew: looked at before it is used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ferryml.backends.kubernetes.kube import Manifest
from ferryml.bootstrap.cluster_member import secret_text
from ferryml.bootstrap.dice import SystemDice
from ferryml.domain.errors import FerryError, Refused
from ferryml.router.certificates import check_certificate
from ferryml.router.haproxy.sidecar import Sidecar, write_file
from ferryml.settings import RouterSettings

log = logging.getLogger(__name__)

LOOK_S = 5.0
_ENTRIES = (("tls.crt", "tls.key"), ("cert.pem", "key.pem"))
"""Of a Secret of type kubernetes.io/tls, and as Azure ML's users have it (sslSecret)."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """PEM texts: the chain, and its private key without a password."""

    chain: str
    key: str

    @property
    def bundle(self) -> str:
        """As HAProxy reads it."""
        return f"{self.chain.strip()}\n{self.key.strip()}\n"


Pair = Callable[[], KeyPair | None]
"""Reads it; None: plain HTTP. Raises Refused, Unavailable, OSError."""


def pair_of_files(settings: RouterSettings) -> KeyPair | None:
    """Of the settings tls_cert and tls_key."""
    if settings.tls_cert is None:
        return None
    return KeyPair(settings.tls_cert.read_text(), (settings.tls_key or settings.tls_cert).read_text())


def pair_of_secret(body: Manifest | None, name: str) -> KeyPair:
    """Of `tls.crt` and `tls.key`, or of `cert.pem` and `key.pem`."""
    for chain, key in _ENTRIES:
        pair = KeyPair(secret_text(body, chain), secret_text(body, key))
        if pair.chain and pair.key:
            return pair
    raise Refused(
        "TlsFailed", f"Secret {name} holds no certificate" if body else f"there is no Secret {name}",
        "Make it with `kubectl create secret tls`, in the namespace of the router.",
    )  # fmt: skip


class Certified:
    """Checks what it reads; a renewal reaches HAProxy without a restart, a wrong one is told and the old one stays."""

    def __init__(self, pair: Pair, name: str, target: Path, dice: SystemDice) -> None:
        self._pair, self._name, self._target, self._dice = pair, name, target, dice
        self._known: KeyPair | None = None

    def begin(self, over: threading.Event) -> None:
        """Returns once there is one that is good to serve, for HAProxy cannot begin without."""
        while not over.is_set():
            try:
                if self.look():
                    write_file(self._target, self._known.bundle if self._known else "")
                return
            except (FerryError, OSError) as error:
                log.error("the router waits for a certificate that it can serve: %s", error)
                over.wait(LOOK_S)

    def look(self) -> bool:
        """Whether there is a new one, good to serve. Raises Refused, Unavailable, OSError."""
        pair = self._pair()
        if pair is None or pair == self._known:
            return False
        now = self._dice.now()
        for warning in check_certificate(pair.chain.encode(), pair.key.encode(), self._name, now):
            log.warning("%s", warning)
        self._known = pair
        return True

    def follow(self, sidecar: Sidecar, over: threading.Event) -> None:
        """Until it is over."""
        owed, said = False, ""
        while not over.wait(LOOK_S):
            try:
                owed = self.look() or owed
                if owed and self._known is not None:
                    sidecar.renew_certificate(self._known.bundle)
                    log.info("the certificate has been renewed")
                owed, said = False, ""
            except (FerryError, OSError) as error:
                if said != str(error):
                    log.warning("the new certificate is not used: %s", error)
                said = str(error)
