"""What webhooks tell: moves of automations as signed CloudEvents; and what an answer to one means."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ferryml.domain.automation import Run
from ferryml.domain.errors import Refused
from ferryml.domain.orders import Json
from ferryml.domain.spec.automation import Automation

PREFIX = "dev.ferryml."
"""Before the types of all events."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks secrets, no secret
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
MOST_EVIDENCE = 16 * 1024
"""Bytes of evidence that an event carries; more is cut down to its figures, and says so."""
MOST_TEXT = 2000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0
BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""Answers that speak of the receiver, or of what stands before it, and not of the event."""


def told(before: str, after: str) -> tuple[str, ...]:
    """The names of `notify.on` that a move of a run stands for, in order: `trained` comes with whatever follows."""
    ended = {"training": "trained", "evaluating": "evaluated"}.get(before, "")
    proved = (ended,) if ended and after != "failed" else ()
    return (*proved, *(() if after in ("training", "evaluating") else (after,)))


def wanted(spec: Automation, name: str) -> tuple[str, ...]:
    """The webhooks that asked for events of that name, each once."""
    return tuple(dict.fromkeys(one.webhook for one in spec.notify if not one.on or name in one.on))


def event_id(*parts: str) -> str:
    """The same for the same parts: receivers know by it what they had already."""
    return "evt_" + hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def notice(run: Run, name: str, ident: str) -> dict[str, Json]:
    """What is remembered of a move until it has been told."""
    last = run.history[-1]
    return {
        "id": ident, "event": name, "automation": run.automation, "run": run.run, "state": run.state,
        "at": last.at.isoformat(), "reason": last.reason[:MOST_TEXT], "evidence": summary(last.evidence),
        "trigger": summary(run.trigger), "candidate": run.candidate, "champion": run.champion, "model": run.model,
    }  # fmt: skip


def summary(evidence: Mapping[str, Json]) -> dict[str, Json]:
    """The evidence itself where it is short; else its first figures and texts, with `truncated`."""
    if _size(evidence) <= MOST_EVIDENCE:
        return dict(evidence)
    short: dict[str, Json] = {"truncated": True}
    left = MOST_EVIDENCE
    for key, value in evidence.items():
        plain = value[:MOST_TEXT] if isinstance(value, str) else value
        left -= _size({key: plain})
        if left < 0:
            break
        if plain is None or isinstance(plain, str | int | float | bool):
            short[key] = plain
    return short


def automation_event(spec: Mapping[str, Json], workspace: str, base: str, sequence: int) -> dict[str, Json]:
    """The CloudEvent of a `notice`.

    Args:
        base: the server's public address, for links.
        sequence: rises with each event of the server; later ones are greater, also as text.
    """
    home = f"{base}/api/v1/workspaces/{workspace}/automations/{spec['automation']}"
    data = {key: value for key, value in spec.items() if key not in ("id", "at")}
    return {
        "specversion": "1.0", "id": spec["id"], "source": home, "type": f"{PREFIX}automation.{spec['event']}",
        "subject": f"{spec['automation']}/{spec['run']}", "time": spec["at"], "datacontenttype": "application/json",
        "sequence": f"{sequence:020d}",
        "data": {"workspace": workspace, **data, "url": f"{home}/runs/{spec['run']}"},
    }  # fmt: skip


def ping_event(ident: str, workspace: str, webhook: str, base: str, at: datetime) -> dict[str, Json]:
    """The CloudEvent of `ferry webhook test`."""
    home = f"{base}/api/v1/workspaces/{workspace}/webhooks/{webhook}"
    return {
        "specversion": "1.0", "id": ident, "source": home, "type": f"{PREFIX}webhook.ping", "subject": webhook,
        "time": at.isoformat(), "datacontenttype": "application/json",
        "data": {"workspace": workspace, "webhook": webhook},
    }  # fmt: skip


def body_of(event: Mapping[str, Json]) -> bytes:
    """An event as it is sent (CloudEvents 1.0, structured mode)."""
    return json.dumps(event, separators=(",", ":"), sort_keys=True).encode()


def key_of(secret: str) -> bytes:
    """The bytes of a secret. Raises Refused(BadValue), which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise Refused(
            "BadValue", f"a webhook's secret is {SECRET_PREFIX} and base64 of 24 to 64 bytes",
            "Leave it out: the server makes one and shows it once.",
        )  # fmt: skip
    return key


def secret_of(dice: str) -> str:
    """A secret from at least 256 bits of chance in text."""
    return SECRET_PREFIX + base64.b64encode(dice.encode()[:64]).decode()


def signed(ident: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: one signature for each secret that is valid now."""
    stamp = str(int(at.timestamp()))
    said = b".".join((ident.encode(), stamp.encode(), body))
    marks = (base64.b64encode(hmac.digest(key_of(secret), said, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": ident, "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt, and what went before it.

    Args:
        status: of HTTP; 0 when nobody answered.
        attempts: this one included.
        waited: since the event was put into the outbox.
        asked_s: what the receiver said with Retry-After; 0: nothing.
    """

    ident: str
    status: int
    attempts: int
    waited: timedelta
    asked_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an event.

    taken: done. gone: the receiver wants no more of anything. wait: try it again after `pause`, and everything
    behind it waits too. aside: try it again after `pause`, and others pass it. over: given up.
    """

    word: Literal["taken", "gone", "wait", "aside", "over"]
    pause: timedelta = timedelta()


def judge(tried: Tried, patience_s: float) -> Verdict:
    """What the answer to an attempt means. `patience_s`: how long after the event it may still be tried."""
    if 200 <= tried.status < 300:
        return Verdict("taken")
    if tried.status == 410:
        return Verdict("gone")
    pause = timedelta(seconds=max(pause_s(tried.ident, tried.attempts), min(tried.asked_s, LONGEST_PAUSE_S)))
    if (tried.waited + pause).total_seconds() > patience_s:
        return Verdict("over")
    return Verdict("wait" if tried.status == 0 or tried.status in BUSY else "aside", pause)


def pause_s(ident: str, attempts: int) -> float:
    """Doubles from 5 s to an hour; by up to a fifth more or less, so that not all come back at once."""
    whole = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 20))
    chance = int.from_bytes(hashlib.sha256(f"{ident}/{attempts}".encode()).digest()[:4]) / 2**32
    return whole * (0.8 + 0.4 * chance)


def _size(value: object) -> int:
    return len(json.dumps(value, default=str).encode())
