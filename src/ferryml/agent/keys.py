"""The site's credentials: Ed25519 keys that never leave its disk, and the short-lived tokens they sign."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ferryml.domain.errors import Refused

LIFE_S = 60
"""Life of a token; the clocks may differ by this much less the way there."""
SLACK_S = 2
"""Date headers have whole seconds: tokens are dated back by this much, so that none comes from the future."""


def load_or_make(path: Path) -> Ed25519PrivateKey:
    """The key in `path`, made at the first call. Mode 0600, written whole or not at all.

    Raises Refused(BadValue) when the file holds something else.
    """
    if not path.exists():
        _write(path, new_key())
    os.chmod(path, 0o600)
    return from_pem(path.read_text(encoding="ascii", errors="replace"), str(path))


def new_key() -> Ed25519PrivateKey:
    """A key that nobody had before."""
    return Ed25519PrivateKey.generate()


def from_pem(text: str, where: str) -> Ed25519PrivateKey:
    """Raises Refused(BadValue) when `where` holds something else."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except ValueError as error:
        raise _not_a_key(where) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_a_key(where)
    return key


def to_pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_text(key: Ed25519PrivateKey) -> str:
    """Base64 of the raw 32 bytes, as enrolment wants it."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


class Clock:
    """The server's time as far as the site knows it; shared by both credentials of a site."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._shift = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now() + self._shift

    def hears(self, date: str) -> bool:
        """Takes a Date header; True when it moved this clock by more than its own coarseness."""
        try:
            server = parsedate_to_datetime(date)
        except ValueError:
            return False
        with self._lock:
            shift = server - self._now()
            if abs((shift - self._shift).total_seconds()) <= SLACK_S:
                return False
            self._shift = shift
            return True


class KeySigner:
    """Signs as `SITE/agent` or `SITE/gateway`."""

    def __init__(
        self, key: Ed25519PrivateKey, subject: str, audience: str, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._key, self._subject, self._audience = key, subject, audience
        self._clock, self._new_id = clock, new_id

    def token(self) -> str:
        issued = int(self._clock.now().timestamp()) - SLACK_S
        claims = {
            "iss": self._subject,
            "sub": self._subject,
            "aud": self._audience,
            "iat": issued,
            "exp": issued + LIFE_S,
            "jti": self._new_id(),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def hears(self, date: str) -> bool:
        return self._clock.hears(date)


def _write(path: Path, key: Ed25519PrivateKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(to_pem(key).encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _not_a_key(where: str) -> Refused:
    return Refused("BadValue", f"{where} is not an Ed25519 key", "Move it away and enrol the site anew.")
