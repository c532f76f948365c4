"""Taking a compute away: nothing that runs is lost by accident, and everything that stays was asked to stay."""

from __future__ import annotations

from typing import Literal

from ferryml.control import jobs, site_looks
from ferryml.control.computes import live_work
from ferryml.control.context import Caller, Deps, allow, turn
from ferryml.control.ports import Row
from ferryml.control.rows import need
from ferryml.control.serving_wishes import called
from ferryml.domain.errors import Conflict

Running = Literal["refuse", "keep", "cancel"]
MOST = 10_000


def detach(deps: Deps, caller: Caller, workspace: str, name: str, running: Running = "refuse") -> None:
    """Forget the compute. What still runs there is in the way, goes on, or is cancelled, as `running` says.

    Jobs that go on are shown and can be cancelled as ever; a compute of the same name, site and namespace adopts them.
    Endpoints are deleted by name or kept, never ended along with a compute. Raises Conflict `InUse`.
    """
    allow(caller, "compute.write", workspace)
    with deps.store.read() as tx:
        row = need(tx, "compute", workspace, name)
        work = live_work(tx, workspace, name, MOST)
    if running == "cancel":
        _refuse(
            [each for each in work if each.kind == "endpoint"], name, "Delete it first, or detach with --running keep."
        )
        for each in work:
            if each.kind == "job":
                jobs.cancel(deps, caller, workspace, each.name)
    with turn(deps) as now:
        need(now.tx, "compute", workspace, name)
        if running == "refuse":
            _refuse(
                live_work(now.tx, workspace, name, 1), name, "Cancel or delete it first, or say --running keep|cancel."
            )
        now.tx.delete("compute", workspace, name)
        details = {"running": running, "work": len(work)}
        now.record(caller, workspace, "compute.detach", f"compute:{name}", details)
    if row.spec.get("type") == "kubernetes":
        site_looks.ask(deps, str(row.status["site"]))


def _refuse(work: list[Row], name: str, hint: str) -> None:
    for row in work:
        whole = called(row) if row.kind == "endpoint" else row.name
        if whole != row.name:
            hint = f"Take it off first: ferry online-endpoint update -n {whole} --compute with the others. {hint}"
        raise Conflict("InUse", f"{row.kind} {whole} is still on compute {name}", hint)
