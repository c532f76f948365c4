"""/agent/v1: the link, as agents use it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from ferryml.control import link, sites
from ferryml.domain.link import Enrol, Enrolled, Heartbeat, HeartbeatAnswer, Report, ReportsAnswer, Wishes
from ferryml.domain.orders import Wire
from ferryml.server.auth import MOST, AgentSite, Hands, Wait

router = APIRouter(prefix="/agent/v1", tags=["link"])


class Reports(Wire):
    """A batch of reports, and the epoch that the site believes in."""

    epoch: Annotated[str, Field(max_length=100)] = ""
    reports: tuple[Report, ...] = ()


@router.post("/enrol")
def enrol(deps: Hands, asked: Enrol) -> Enrolled:
    """A one-time join token becomes two known keys."""
    return sites.enrol(deps, asked)


@router.get("/wishes")
def wishes(
    deps: Hands, site: AgentSite, after: Annotated[int, Query(ge=0, le=MOST)] = 0,
    epoch: Annotated[str, Query(max_length=100)] = "", wait: Wait = 0,
) -> Wishes:  # fmt: skip
    """What the site should have, newer than `after`; held open up to `wait` seconds."""
    return link.wishes(deps, site, after, epoch, wait)


@router.post("/reports")
def reports(deps: Hands, site: AgentSite, told: Reports) -> ReportsAnswer:
    """What the site saw."""
    return link.reports(deps, site, told.epoch, told.reports)


@router.post("/heartbeat")
def heartbeat(deps: Hands, site: AgentSite, beat: Heartbeat) -> HeartbeatAnswer:
    """The site is there, and this is what it has."""
    return sites.heartbeat(deps, site, beat)
