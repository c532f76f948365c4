"""Who a cluster's routers are to one another and to the operator: one authority, bearer and peer secret for all."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.backends.kubernetes.router_doors import DOOR, NAME
from ferryml.bootstrap.certificates import Certified, certified
from ferryml.bootstrap.cluster_member import encoded, secret_text
from ferryml.bootstrap.dice import SystemDice
from ferryml.domain.errors import Conflict, Unavailable

KEY = "ferry-router-key"
"""Secret of the routers alone; the operator's half is `DOOR`. Both are made empty by the installation."""
_PARTS = {"authority": "ca.pem", "authority_key": "ca.key", "certificate": "tls.crt", "key": "tls.key"}
_WORDS = ("bearer", "peer")
_TRIES = 5


class RouterIdentity:
    """What all router pods share: the first of them makes it, the others take it over."""

    def __init__(self, kube: Kube, namespace: str, dice: SystemDice) -> None:
        self._kube, self._namespace, self._dice = kube, namespace, dice
        self._context: ssl.SSLContext | None = None
        self._read()

    def renewed(self) -> bool:
        """Looks whether it is time for another certificate; True when there is one. Raises FerryError."""
        before = self.certified
        self._read()
        if self.certified != before and self._context is not None:
            _load(self._context, self.certified)
        return self.certified != before

    def tls(self) -> ssl.SSLContext:
        """Of the door; follows renewals."""
        if self._context is None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            _load(self._context, self.certified)
        return self._context

    def _read(self) -> None:
        for _ in range(_TRIES):
            body = self._kube.get(SECRETS, self._namespace, KEY)
            known = {name: secret_text(body, name) for name in (*_PARTS.values(), *_WORDS)}
            whole = all(known[name] for name in _PARTS.values())
            kept = Certified(**{part: known[name] for part, name in _PARTS.items()}) if whole else None
            self.certified = certified(kept, [NAME], self._dice.now(), "router")
            self.bearer = known["bearer"] or self._dice.secret()
            self.peer_secret = known["peer"] or self._dice.secret()
            wanted = {name: getattr(self.certified, part) for part, name in _PARTS.items()}
            wanted |= {"bearer": self.bearer, "peer": self.peer_secret}
            try:
                if wanted != known:
                    self._write(KEY, body, wanted)
                self._publish()
            except Conflict:
                continue  # another router was faster: take over what it made
            return
        raise Unavailable("Unavailable", f"Secret {self._namespace}/{KEY} is being written by others all the time")

    def _publish(self) -> None:
        body = self._kube.get(SECRETS, self._namespace, DOOR)
        wanted = {"ca.pem": self.certified.authority, "bearer": self.bearer}
        if {name: secret_text(body, name) for name in wanted} != wanted:
            self._write(DOOR, body, wanted)

    def _write(self, name: str, body: Manifest | None, texts: dict[str, str]) -> None:
        """Only if nobody wrote it since it was read. Raises Conflict."""
        data = {entry: encoded(text) for entry, text in texts.items()}
        if body is None:
            metadata = {"name": name, "namespace": self._namespace}
            made = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
            self._kube.create(SECRETS, made)
        else:
            self._kube.replace(SECRETS, {**body, "data": data})


def _load(context: ssl.SSLContext, made: Certified) -> None:
    # the ssl module takes certificates from files only; this one lives no longer than the call
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.touch(0o600)
        file.write_text(made.certificate + made.key)
        context.load_cert_chain(file)
