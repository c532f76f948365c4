"""What is asked of computes and sites beyond their names: to settle, to be examined, which types they offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

from ferryml.sdk.flow import Flow, Json, Pause, get, send
from ferryml.sdk.flows import below

Notice = Callable[[Json], object]
Look = Literal["last", "once", "again"]
STEP_S = 1.0
WAIT_S = 20.0


def detach(workspace: str, name: str, running: str) -> Flow[None]:
    """Forget a compute; `running` says what becomes of what runs there."""
    yield from send("DELETE", below(workspace, "computes", quote(name, safe="")), running=running)


def settled(workspace: str, name: str, notice: Notice | None, patience_s: float) -> Flow[Json]:
    """The compute once it is Succeeded or Failed, or as it is after `patience_s`."""
    waited, last = 0.0, None
    while True:
        compute = yield from get(below(workspace, "computes", quote(name, safe="")))
        state = compute["provisioning_state"]
        if state != last and notice is not None:
            notice(compute)
        last = state
        # a site that has not joined may take days
        waits = state == "Creating" and (compute.get("ferry") or {}).get("site_state") != "Pending"
        if not waits or waited >= patience_s:
            return compute
        yield Pause(STEP_S)
        waited += STEP_S


def compute_types(workspace: str, name: str) -> Flow[list[Json]]:
    """The instance types of one compute."""
    compute = yield from get(below(workspace, "computes", quote(name, safe="")))
    return [{"name": key, "compute": name, **value} for key, value in sorted(compute["instance_types"].items())]


def site_types(site: str) -> Flow[Json]:
    """`items`: the instance types of a site; `suggestions`: custom resources that its nodes suggest."""
    return get(f"/api/v1/sites/{quote(site, safe='')}/instance-types")


def doctor(site: str, look: Look, notice: Notice | None, patience_s: float) -> Flow[Json]:
    """What the site's doctor finds; but for `last` it is asked to look now, and waited for at most `patience_s`."""
    path = f"/api/v1/sites/{quote(site, safe='')}/doctor"
    if look == "last":
        return (yield from get(path))
    asked = (yield from send("POST", path, again="true" if look == "again" else None))["asked"]
    waited = 0.0
    while True:
        found = yield from get(path, question=asked or None, wait=WAIT_S)
        if found["answered"] or waited >= patience_s:
            return found
        waited += WAIT_S
        if notice is not None:
            notice(found)
