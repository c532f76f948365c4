"""An API server that comes back says no to everybody until it has read its own rules: that no is not believed."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from ferryml.backends.kubernetes.trouble import TRY_AGAIN, refusal
from ferryml.domain.errors import FerryError, Unavailable

SETTLE_S = 30.0
"""How long after a broken connection a missing right may be one that the API server does not know of yet."""


class Recovery:
    """What answers mean, in the light of connections that broke a moment ago. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")

    def failed(self) -> None:
        """A connection broke, or could not be made."""
        self._until = self._clock() + SETTLE_S

    def check(self, response: httpx.Response) -> None:
        """Raises what a refusal means; nothing for a success."""
        if response.is_success:
            return
        try:
            body = response.json()
        except ValueError:
            body = {"message": response.text[:300]}
        error = refusal(response.status_code, body if isinstance(body, dict) else {})
        if self._clock() < self._until and _is_lack_of_rights(error):
            raise Unavailable(
                "ClusterUnreachable", f"the API server may not have its rules back yet: {error.message}", TRY_AGAIN
            )
        raise error


def _is_lack_of_rights(error: FerryError) -> bool:
    """As authorizers say it; quotas and admission say no in other words."""
    return error.code == "ClusterForbidden" and 'User "' in error.message and " cannot " in error.message
