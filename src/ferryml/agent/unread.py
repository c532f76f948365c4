"""Orders that this agent is too old to read: each stands for itself, is told of, and keeps nobody else waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from pydantic import ValidationError

from ferryml.domain.error_catalogue import MEANING
from ferryml.domain.lifecycle import TERMINAL
from ferryml.domain.link import Heartbeat, Report, Wish, Wishes
from ferryml.domain.orders import Wire
from ferryml.domain.seen import StatusOf
from ferryml.domain.sparse import unreadable, what_is_known
from ferryml.domain.statuses import EndpointStatus, Finding, JobStatus

log = logging.getLogger(__name__)

CODE = "AgentTooOld"
FIX = MEANING["AgentTooOld"][1]
CHECK = "link.unread"
MOST_TOLD = 20
"""Orders that a heartbeat names; it must stay small."""


class Unread(Wire):
    """A wish of which this version does not understand all; nothing of it is carried out."""

    uid: str
    generation: int
    cursor: int
    parts: str
    """In words, what is not understood; names of fields and no values."""

    @property
    def cause(self) -> str:
        return "the site's agent is too old for what is asked; what it carries out already goes on unchanged"


class Heard(Wishes):
    """The server's answer as far as this version understands it."""

    unread: tuple[Unread, ...] = ()


def heard(answer: Any) -> Heard:
    """Reads the envelope, then each wish by itself. Raises ValidationError when not even the envelope can be read."""
    named: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    whole = what_is_known(Heard, {**named, "wishes": (), "unread": ()})
    listed = named.get("wishes") or []
    wishes, unread = list[Wish](), list[Unread]()
    for each in listed if isinstance(listed, list) else [listed]:
        try:
            wishes.append(Wish.model_validate(each))
        except ValidationError as error:
            if _ends_a_job(each):
                wishes.append(what_is_known(Wish, each))
            else:
                unread.append(_unread(each, error))
    return whole.model_copy(update={"wishes": tuple(wishes), "unread": tuple(unread)})


def _ends_a_job(wish: Any) -> bool:
    """To end a job nothing of its order is needed: who cancels is understood, whatever else the order says."""
    order = wish.get("order") if isinstance(wish, Mapping) else None
    if not isinstance(order, Mapping) or order.get("kind") != "Job" or order.get("cancel") is not True:
        return False
    try:
        what_is_known(Wish, wish)
    except ValidationError:
        return False
    return True


def _unread(wish: Any, error: ValidationError) -> Unread:
    named = wish if isinstance(wish, Mapping) else {}
    return what_is_known(Unread, {**named, "parts": unreadable(error)})


@dataclass(frozen=True, slots=True)
class _Noted:
    wish: Unread
    at: datetime
    told: bool = False


class Unreads:
    """What could not be read, by uid, in memory alone: each start asks for the whole list anew. Safe between threads.

    So an agent that was upgraded reads those orders as it starts, and goes on with them by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, _Noted] = {}

    def note(self, answer: Heard, now: datetime) -> None:
        """Takes up one answer; what can be read (again) is forgotten here."""
        with self._lock:
            for wish in answer.wishes:
                self._noted.pop(wish.uid, None)
            for each in answer.unread:
                before = self._noted.get(each.uid)
                if before is None or before.wish != each:
                    self._noted[each.uid] = _Noted(each, now)
                    log.warning("%s: %s: an order cannot be read: %s. %s", each.uid, CODE, each.parts, FIX)

    def clear(self) -> None:
        """The whole list comes anew."""
        with self._lock:
            self._noted.clear()

    def get(self, uid: str) -> Unread | None:
        with self._lock:
            noted = self._noted.get(uid)
        return None if noted is None else noted.wish

    def untold(self) -> list[Report]:
        """Reports for those that the server has not heard of yet. They answer no generation: nothing was begun."""
        with self._lock:
            waiting = [each for each in self._noted.values() if not each.told]
        return [report for each in waiting if (report := _report(each)) is not None]

    def told(self, uids: Iterable[str]) -> None:
        with self._lock:
            for uid in uids:
                if (noted := self._noted.get(uid)) is not None:
                    self._noted[uid] = replace(noted, told=True)

    def tells(self, beat: Heartbeat) -> Heartbeat:
        """A heartbeat that names them."""
        with self._lock:
            found = {uid: each.wish.parts for uid, each in sorted(self._noted.items())}
        if not found:
            return beat
        named = dict(list(found.items())[:MOST_TOLD])
        return beat.model_copy(update={"inventory": {**beat.inventory, "unread": named, "unread_count": len(found)}})


def noticed(status: StatusOf, unread: Unread | None) -> StatusOf:
    """What is told of work that goes on as before, because its newest order could not be read."""
    if unread is None:
        return status
    if isinstance(status, JobStatus) and status.phase not in TERMINAL:
        return status.model_copy(
            update={"findings": (*status.findings, _finding(unread)), "reason": status.reason or _words(unread)}
        )
    if isinstance(status, EndpointStatus) and not status.code:
        return status.model_copy(update={"reason": _words(unread), "code": CODE})
    return status


def _report(noted: _Noted) -> Report | None:
    """None for kinds of which nobody is told by report: labels and settings, and what this version has no word for."""
    wish, status = noted.wish, cast("JobStatus | EndpointStatus | None", None)
    if wish.uid.startswith("job."):
        status = JobStatus(phase="Queued", reason=_words(wish), code=CODE, findings=(_finding(wish),))
    elif wish.uid.startswith("endpoint."):
        status = EndpointStatus(state="Creating", reason=_words(wish), code=CODE)
    if status is None:
        return None
    return Report(uid=wish.uid, generation=0, version=int(noted.at.timestamp() * 1000), status=status, at=noted.at)


def _words(unread: Unread) -> str:
    return f"{unread.cause} ({unread.parts}). {FIX}"


def _finding(unread: Unread) -> Finding:
    return Finding(code=CODE, cause=unread.cause, evidence=unread.parts, fix=FIX, check=CHECK)
