"""OAuth tokens of clouds, bought with what a datastore's secret holds, and kept until they are about to expire."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import jwt

from ferryml.domain.errors import Refused, Unavailable
from ferryml.gateway.objects import refuse, whole
from ferryml.gateway.upstream import Upstream

ENTRA = "https://login.microsoftonline.com"
STORAGE_SCOPE = "https://storage.azure.com/.default"
GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
GOOGLE_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = timedelta(hours=1)
EARLY = timedelta(minutes=5)
"""Before a token expires another one is bought."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A service principal of Entra ID."""

    tenant: str
    client: str
    secret: str = field(repr=False)
    authority: str = ENTRA


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account of Google Cloud."""

    email: str
    token_uri: str
    key: str = field(repr=False)
    """Its private key, PEM."""
    key_id: str = ""


class Tokens:
    """Buys tokens, each once for its life. Raises Refused when who asks is not known there, Unavailable."""

    def __init__(self, upstream: Upstream, now: Callable[[], datetime]) -> None:
        self._upstream, self._now = upstream, now
        self._kept: dict[Principal | ServiceAccount, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

    def azure(self, who: Principal) -> str:
        """For Azure's storage: the client credentials flow."""
        form = {
            "grant_type": "client_credentials", "client_id": who.client, "client_secret": who.secret,
            "scope": STORAGE_SCOPE,
        }  # fmt: skip
        url = f"{who.authority.rstrip('/')}/{quote(who.tenant, safe='')}/oauth2/v2.0/token"
        return self._token(who, url, lambda: form)

    def google(self, who: ServiceAccount) -> str:
        """For Google's storage: a signed assertion becomes a token (RFC 7523)."""
        return self._token(who, who.token_uri, lambda: {"grant_type": GOOGLE_GRANT, "assertion": self._assertion(who)})

    def _token(self, who: Principal | ServiceAccount, url: str, form: Callable[[], Mapping[str, str]]) -> str:
        with self._lock:
            token, until = self._kept.get(who, ("", self._now()))
            if not token or until - EARLY <= self._now():
                token, life_s = self._buy(url, form())
                self._kept[who] = (token, self._now() + timedelta(seconds=life_s))
            return token

    def _buy(self, url: str, form: Mapping[str, str]) -> tuple[str, float]:
        data = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(data))}
        reply = whole(self._upstream.call("POST", url, headers, iter([data])))
        if reply.status == 400:
            # how both clouds say that they do not know who asks
            raise Refused(
                "Forbidden", f"the datastore's credential is not taken: {_why(reply.body)}", "IT: renew its secret_ref."
            )
        if reply.status != 200:
            refuse("the cloud's token service", reply, "")
        said = _object(reply.body)
        if not isinstance(said.get("access_token"), str):
            raise Unavailable("Unavailable", "the cloud's token service gave no token")
        return said["access_token"], float(said.get("expires_in") or 0)

    def _assertion(self, who: ServiceAccount) -> str:
        now = self._now()
        claims = {"iss": who.email, "scope": GOOGLE_SCOPE, "aud": who.token_uri, "iat": now, "exp": now + LIFE}
        try:
            return jwt.encode(claims, who.key, algorithm="RS256", headers={"kid": who.key_id} if who.key_id else None)
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise Refused(
                "BadValue", "the private key of the datastore's service account cannot be read",
                "IT: put the JSON file of the key, unchanged, into the secret that secret_ref names.",
            ) from error  # fmt: skip


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _why(body: bytes) -> str:
    """The error's short name: its description may quote what was sent."""
    return str(_object(body).get("error") or "no reason given")[:100]
