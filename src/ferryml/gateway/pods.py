"""Who a pod is: the API server says whose token it is, the agent has said which pods belong to which attempt."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol, cast

from ferryml.domain.errors import Forbidden, Unauthenticated
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller

POD_AUDIENCE, ADMIN_AUDIENCE = "ferry-gateway", "ferry-gateway-admin"
TRUSTED_S = 60.0
"""How long the API server's word about a token is believed."""
DOUBTED_S = 5.0
"""How long a token that it does not know is not asked about again."""
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose token it is; `pod` is empty for tokens that are bound to none."""

    account: str
    """`system:serviceaccount:NAMESPACE:NAME`."""
    namespace: str
    pod: str = ""


class Reviewer(Protocol):
    """The API server, asked whose token it is."""

    def review(self, token: str, audience: str) -> Identity | None:
        """None when it does not know the token for that audience. Raises Unavailable."""


class Remembering:
    """A reviewer that does not ask twice within a minute.

    Args:
        reviewer: is asked; never under a lock.
    """

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer
        self._known: OrderedDict[str, tuple[float, Identity | None]] = OrderedDict()
        self._lock = threading.Lock()

    def review(self, token: str, audience: str) -> Identity | None:
        key = hashlib.sha256(f"{audience}\0{token}".encode()).hexdigest()
        now = time.monotonic()
        with self._lock:
            known = self._known.get(key)
            if known is not None and now < known[0]:
                return known[1]
        found = self._reviewer.review(token, audience)
        with self._lock:
            self._known[key] = (now + (TRUSTED_S if found else DOUBTED_S), found)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found


class Pods:
    """Pods that were let in, by namespace and how their names begin; durable.

    Args:
        admin: service account of the agent.
        router: service account of the routers.
    """

    def __init__(self, db: Database, reviewer: Reviewer, admin: str, router: str = "") -> None:
        self._db, self._reviewer, self._admin, self._router = db, Remembering(reviewer), admin, router

    def admit(self, caller: Caller, namespace: str, prefix: str) -> None:
        """Pods of `namespace` whose names begin with `prefix` are this attempt's from now on."""
        with self._db.transaction():
            values = (namespace, prefix, caller.uid, caller.attempt, caller.kind)
            self._db.run("REPLACE INTO admissions VALUES (?, ?, ?, ?, ?)", *values)

    def check_admin(self, token: str) -> None:
        """Raises Unauthenticated, or Forbidden for everybody but the agent."""
        found = self._reviewer.review(token, ADMIN_AUDIENCE) if token else None
        if found is None:
            raise Unauthenticated("Unauthenticated", "this door is for the site's agent")
        if found.account != self._admin:
            raise Forbidden("Forbidden", f"{found.account} is not the site's agent")

    def check_router(self, token: str) -> None:
        """Raises Unauthenticated, or Forbidden for everybody but the site's routers."""
        found = self._reviewer.review(token, POD_AUDIENCE) if token else None
        if found is None:
            raise Unauthenticated("Unauthenticated", "this door is for the site's routers")
        if not self._router or found.account != self._router:
            raise Forbidden("Forbidden", f"{found.account} is no router of this site")

    def who(self, token: str) -> Caller:
        """Raises Unauthenticated for pods that were not let in, Forbidden(StaleAttempt) for those of the past."""
        found = self._reviewer.review(token, POD_AUDIENCE)
        if found is None or not found.pod:
            raise Unauthenticated("Unauthenticated", "the cluster does not know this token")
        rows = self._db.rows(
            "SELECT a.uid, a.attempt, s.workspace, s.grant_text, a.prefix, a.kind, s.dismissed, "
            "(SELECT MAX(attempt) FROM streams n WHERE n.uid = a.uid) FROM admissions a "
            "JOIN streams s ON s.uid = a.uid AND s.attempt = a.attempt "
            "WHERE a.namespace = ? AND substr(?, 1, length(a.prefix)) = a.prefix "
            "ORDER BY length(a.prefix) DESC LIMIT 1",
            found.namespace,
            found.pod,
        )
        if not rows:
            raise Unauthenticated("Unauthenticated", f"pod {found.pod} was not let in (yet)")
        uid, attempt, workspace, grant, prefix, kind, dismissed, newest = rows[0]
        if dismissed or attempt != newest:
            raise Forbidden("StaleAttempt", f"attempt {attempt!r} of {uid!s} is over; attempt {newest!r} counts")
        rank = _rank(found.pod[len(str(prefix)) :])
        return Caller(str(uid), cast(int, attempt), str(workspace), str(grant), rank, str(kind))


def _rank(rest: str) -> int:
    """`3-x7k2p` is rank 3: the Job controller names pods so."""
    index, dash, _ = rest.partition("-")
    return int(index) if dash and index.isascii() and index.isdigit() and len(index) < 7 else 0
