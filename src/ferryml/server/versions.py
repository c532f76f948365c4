"""How the server speaks with agents and gateways of other versions: it says little, and reads what it knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field, ValidationError, WrapValidator

from ferryml.domain.link import Heartbeat, Report
from ferryml.domain.orders import Wire
from ferryml.domain.sparse import sparse_json, unreadable, what_is_known

log = logging.getLogger(__name__)


class Sparse(Response):
    """An answer without what is at its default: a site of the version before reads all that asks nothing new."""

    media_type = "application/json"

    def __init__(self, answer: BaseModel) -> None:
        super().__init__(sparse_json(answer))


class Reports(Wire):
    """A batch of reports, and the epoch that the site believes in."""

    epoch: Annotated[str, Field(max_length=100)] = ""
    reports: tuple[Report, ...] = ()


def _beat(body: Any, _: Any) -> Heartbeat:
    return what_is_known(Heartbeat, body)


def _reports(body: Any, _: Any) -> Reports:
    """One that says what this server cannot understand is left with its site, which tells it again; the rest counts.

    It stands in nobody's way then, and is taken up once the server is upgraded.
    """
    try:
        return what_is_known(Reports, body)
    except ValidationError:
        kept = [one for one in body["reports"] if _is_understood(one)] if _lists_reports(body) else None
        if kept is None:
            raise
        return what_is_known(Reports, {**body, "reports": kept})


def _lists_reports(body: Any) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("reports"), list)


def _is_understood(report: Any) -> bool:
    """False only where the status alone is the trouble; what is wrong otherwise is refused with the whole batch."""
    try:
        what_is_known(Report, report)
    except ValidationError as error:
        if all(each["loc"][:1] == ("status",) for each in error.errors()):
            log.warning("a report of %s cannot be read, upgrade the server: %s", report["uid"], unreadable(error))
            return False
    return True


Told = Annotated[Reports, WrapValidator(_reports)]
Beat = Annotated[Heartbeat, WrapValidator(_beat)]
