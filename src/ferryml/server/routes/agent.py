"""/agent/v1: the link, as agents use it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ferryml.control import link, sites
from ferryml.domain.link import Enrol, Enrolled, HeartbeatAnswer, ReportsAnswer, Wishes
from ferryml.server.auth import MOST, AgentSite, Hands, Wait
from ferryml.server.versions import Beat, Sparse, Told

router = APIRouter(prefix="/agent/v1", tags=["link"])


@router.post("/enrol", response_model=Enrolled)
def enrol(deps: Hands, asked: Enrol) -> Sparse:
    """A one-time join token becomes two known keys."""
    return Sparse(sites.enrol(deps, asked))


@router.get("/wishes", response_model=Wishes)
def wishes(
    deps: Hands, site: AgentSite, after: Annotated[int, Query(ge=0, le=MOST)] = 0,
    epoch: Annotated[str, Query(max_length=100)] = "", wait: Wait = 0,
) -> Sparse:  # fmt: skip
    """What the site should have, newer than `after`; held open up to `wait` seconds."""
    return Sparse(link.wishes(deps, site, after, epoch, wait))


@router.post("/reports", response_model=ReportsAnswer)
def reports(deps: Hands, site: AgentSite, told: Told) -> Sparse:
    """What the site saw."""
    return Sparse(link.reports(deps, site, told.epoch, told.reports))


@router.post("/heartbeat", response_model=HeartbeatAnswer)
def heartbeat(deps: Hands, site: AgentSite, beat: Beat) -> Sparse:
    """The site is there, and this is what it has."""
    return Sparse(sites.heartbeat(deps, site, beat))
