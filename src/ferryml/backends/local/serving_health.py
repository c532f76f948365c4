"""When an instance counts as well, and how long to wait before it is started again. Pure but for the one question."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field

STARTING_PERIOD_S = 0.2
GIVE_UP_AFTER = 3
"""Starts that ended before the instance was ever ready; then trying again is left to people."""
SLOWEST_RESTART_S = 30.0
CALM_S = 60.0
"""Ready for this long: earlier crashes are forgotten."""


@dataclass(frozen=True, slots=True)
class ProbeRules:
    """How to ask; seconds and counts."""

    period: float = 10
    initial_delay: float = 10
    timeout: float = 2
    success_threshold: int = 1
    failure_threshold: int = 30

    @classmethod
    def of(cls, said: Mapping[str, int]) -> ProbeRules:
        return cls(**said)


@dataclass(slots=True)
class Health:
    """What the answers so far come to. All times are monotonic seconds."""

    rules: ProbeRules
    since: float
    """Start of the process."""
    well: bool = False
    good: int = 0
    bad: int = 0
    asked: float = field(default=-1e9)

    def due(self, now: float) -> bool:
        """Whether to ask again: often until it is well, so that nobody waits for a whole period."""
        period = self.rules.period if self.well else min(self.rules.period, STARTING_PERIOD_S)
        return now - self.asked >= period

    def heard(self, ok: bool, now: float) -> bool:
        """Take an answer in; True when `failure_threshold` was reached just now."""
        self.asked = now
        if ok:
            self.good, self.bad = self.good + 1, 0
            self.well = self.well or self.good >= self.rules.success_threshold
            return False
        self.good = 0
        if not self.well and now - self.since < self._patience():
            return False
        self.bad += 1
        if self.well and self.bad < self.rules.failure_threshold:
            return False
        self.well = False
        return True

    def _patience(self) -> float:
        return self.rules.initial_delay + self.rules.period * self.rules.failure_threshold


def restart_delay(crashes: int) -> float:
    """Seconds before the next start: 0.5, 1, 2, ... up to SLOWEST_RESTART_S."""
    return float(min(SLOWEST_RESTART_S, 0.5 * 2 ** min(crashes - 1, 10)))


def answers(port: int, path: str, timeout_s: float) -> bool:
    """One GET on loopback; True for 2xx and 3xx."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
