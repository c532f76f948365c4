"""Brings endpoints on several computes to what was asked for, compute by compute, as their sites can be reached."""

from __future__ import annotations

import logging
from functools import partial

from ferryml.control.context import Deps, Turn, changed
from ferryml.control.endpoint_reports import bury
from ferryml.control.ports import Row
from ferryml.control.serving_wishes import DELETING, SPREAD, deployments_of, members_of, short
from ferryml.control.spread import Look, look
from ferryml.control.spreading import take
from ferryml.domain.errors import FerryError
from ferryml.domain.spread import Remove, next_step

log = logging.getLogger(__name__)


def tick(deps: Deps) -> int:
    """One step on every compute that is free for one; how many were taken."""
    with deps.store.read() as tx:
        rows = tx.find("endpoint", label=SPREAD, limit=10_000)
        looks = [look(tx, row) for row in rows]
    return sum(_turn(deps, seen) for seen in looks)


def _turn(deps: Deps, seen: Look) -> int:
    if seen.rollout and seen.row.phase != DELETING:
        # it says what each compute gets, and when
        return 0
    done = changed(deps, partial(_tidy, seen.row)) if _untidy(seen) else 0
    return done or sum(_safely(deps, seen, compute) for compute in seen.wanted)


def _safely(deps: Deps, seen: Look, compute: str) -> int:
    """A compute in trouble does not hold up the others; it is looked at again next time."""
    step, one = next_step(seen.wanted[compute], seen.seen[compute]), seen.seen[compute]
    if step is None or (one is not None and (one.busy or one.offline) and not _can_go(step, seen, compute)):
        return 0
    try:
        return take(deps, seen, compute, step)
    except FerryError as error:
        log.warning("endpoint %s on compute %s waits: %s: %s", seen.row.name, compute, error.code, error.message)
        return 0


def _can_go(step: object, seen: Look, compute: str) -> bool:
    """A site that is away hears that it shall remove something when it returns, whatever it was doing."""
    one = seen.seen[compute]
    return isinstance(step, Remove) and one is not None and one.offline


def _untidy(seen: Look) -> bool:
    ended = seen.row.phase == DELETING and not seen.members
    return ended or seen.leaving or any(row.status.get("all_traffic") for row in seen.deployments.values())


def _tidy(stale: Row, now: Turn) -> int:
    """What follows from what the sites did: the first deployment's traffic, and the end of what is being deleted."""
    row = now.tx.get("endpoint", stale.workspace, stale.name)
    if row is None:
        return 0
    if row.phase == DELETING:
        return _forget(now, row)
    seen, done = look(now.tx, row), 0
    for deployment in deployments_of(now.tx, row):
        name = short(deployment)
        if deployment.phase == DELETING and not _somewhere(seen, name):
            bury(now, deployment)
            now.event(row.workspace, "deployment.deleted", f"deployment:{deployment.name}")
            done += 1
        elif deployment.phase != DELETING and deployment.status.get("all_traffic") and _serves(seen, name):
            row = now.tx.update(row.model_copy(update={"spec": {**row.spec, "traffic": {name: 100}}}))
            left = {key: value for key, value in deployment.status.items() if key != "all_traffic"}
            now.tx.update(deployment.model_copy(update={"status": left}))
            done += 1
    return done


def _forget(now: Turn, row: Row) -> int:
    if members_of(now.tx, row):
        return 0
    for deployment in deployments_of(now.tx, row):
        bury(now, deployment)
    now.tx.delete("endpoint", row.workspace, row.name)
    now.event(row.workspace, "endpoint.deleted", f"endpoint:{row.name}")
    return 1


def _somewhere(seen: Look, name: str) -> bool:
    """Whether a site that answers still has the deployment; one that is offline drops it when it returns."""
    return any(
        one is not None and not one.offline and name in one.deployments for one in seen.seen.values()
    )  # fmt: skip


def _serves(seen: Look, name: str) -> bool:
    """Whether what was asked for serves somewhere; the others follow when it serves there."""
    version = seen.deployments[name].status["version"]
    found = [one.deployments.get(name) for one in seen.seen.values() if one is not None]
    return any(one is not None and one.version == version and one.serves and one.state == "Succeeded" for one in found)
