"""What a job's report changes: its state, its times, its outputs (as assets, with lineage) and its MLflow run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ferryml.control import artifacts, assets, datastores, environments, link
from ferryml.control.contents import Content
from ferryml.control.context import SYSTEM, Deps, Turn, changed
from ferryml.control.jobs import TERMINAL, order_of
from ferryml.control.ports import Json, Row
from ferryml.control.report_hooks import Apply
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused, Unavailable
from ferryml.domain.link import Report
from ferryml.domain.orders import JobOrder, OutputOrder, Residency
from ferryml.domain.residency import MODEL_TYPES, may_leave, of_output
from ferryml.domain.spec.data import Data
from ferryml.domain.spec.model import Model
from ferryml.domain.statuses import JobStatus, OutputResult

ENDS: Mapping[str, Literal["FINISHED", "FAILED", "KILLED"]] = {
    "Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A job's outputs as far as the server can vouch for them."""

    contents: dict[str, Content]
    notes: tuple[str, ...] = ()


def hook(deps: Deps, site: str, report: Report) -> Apply:
    """Take up one report of a job; raises Unavailable while bytes that it speaks of are still on their way."""
    status = report.status
    assert isinstance(status, JobStatus)  # noqa: S101  hooks are chosen by kind
    with deps.store.read() as tx:
        row = link.row_of(tx, report.uid, site)
    if row is None or row.status.get("site") != site:
        return lambda now: None
    order, found = order_of(row), Found({})
    if status.phase in TERMINAL and row.phase not in TERMINAL:
        try:
            found = _outputs(deps, order, site, status)
        except Unavailable as error:
            why = error.message
            changed(deps, lambda now: _waits(now, order, why))
            raise
        deps.tracking.end_run(row.workspace, order.mlflow_run_id, ENDS[status.phase])

    def apply(now: Turn) -> None:
        current = now.tx.get("job", order.workspace, order.name)
        if current is not None and current.phase not in TERMINAL:
            _apply(deps, now, current, report, found)

    return apply


def _waits(now: Turn, order: JobOrder, why: str) -> None:
    """Say what the end of the job waits for; once, for this is asked again and again."""
    row = now.tx.get("job", order.workspace, order.name)
    reason = f"waiting for its files to arrive: {why}"
    if row is not None and row.phase not in TERMINAL and row.status.get("reason") != reason:
        now.tx.update(row.model_copy(update={"phase": "Finalizing", "status": {**row.status, "reason": reason}}))
        now.wake(f"job:{row.status['uid']}")


def _apply(deps: Deps, now: Turn, row: Row, report: Report, found: Found) -> None:
    status, order = report.status, order_of(row)
    assert isinstance(status, JobStatus)  # noqa: S101  hooks are chosen by kind
    over = status.phase in TERMINAL
    phase = row.phase if row.phase == "CancelRequested" and not over else status.phase
    site, uid = str(row.status["site"]), str(row.status["uid"])
    kept = _merged(row, report, status)
    if over:
        outputs, notes = _registered(now, row, order, found, phase == "Completed")
        kept |= {"outputs": outputs, "notes": [*kept["notes"], *found.notes, *notes], "ended": now.tx.now().isoformat()}
        now.tx.put_wish(site, uid, None)
        now.wake(f"site:{site}")
    now.tx.update(row.model_copy(update={"phase": phase, "status": kept}))
    environments.keep_lock(now, row.workspace, order.environment, status.lock)
    environments.keep_image(now, row.workspace, order.environment, site, status.environment_image)
    if phase != row.phase:
        details: dict[str, Json] = {"from": row.phase, "to": phase, "reason": status.reason}
        now.event(row.workspace, "job.phase", f"job:{row.name}", details)
        now.wake("loops")
    link.forget_orphans(now, site, [uid])
    now.wake(f"job:{uid}")


def _merged(row: Row, report: Report, status: JobStatus) -> dict[str, Any]:
    ours = [time for time in row.status["times"] if time.get("by") == "server" or time["phase"] == "CancelRequested"]
    theirs = [time.model_dump(mode="json") for time in status.times]
    told = status.model_dump(
        mode="json", include={"reason", "code", "exit_code", "error_lines", "node", "receipt", "usage", "logs"}
    )
    if not may_leave(order_of(row).residency, "logs") and told["error_lines"]:
        # Lines of output may quote the data, so they stay with it.
        told |= {"error_lines": [], "reason": f"exit code {status.exit_code}; what it printed stays in its zone"}
    told["findings"] = _findings(row, status)
    notes = list(dict.fromkeys([*row.status["notes"], *status.notes]))
    return {
        **row.status, **told, "attempt": report.attempt, "notes": notes,
        "times": sorted([*ours, *theirs], key=lambda time: str(time["at"]).replace("Z", "+00:00")),
        "order_generation": report.generation, "environment_key": status.environment_key,
    }  # fmt: skip


def _findings(row: Row, status: JobStatus) -> list[Json]:
    """What the site's explainer found; what it read in the log stays with the log."""
    silent = not may_leave(order_of(row).residency, "logs")
    return [each.model_dump(mode="json") for each in status.findings if not (silent and each.quotes_log)]


def _outputs(deps: Deps, order: JobOrder, site: str, status: JobStatus) -> Found:
    contents: dict[str, Content] = {}
    notes: list[str] = []
    for name, result in status.outputs.items():
        asked = order.outputs.get(name, OutputOrder())
        try:
            content = _content(deps, order, site, asked, result)
        except NotFound as error:
            if status.phase == "Completed":
                raise Unavailable("Unavailable", f"output {name} of job {order.name}: {error.message}") from error
            notes.append(f"output {name} is not complete: {error.message}")
            continue
        except Refused as error:
            notes.append(f"output {name} was not taken: {error.message}")
            continue
        if content is not None:
            contents[name] = content
    return Found(contents, tuple(notes))


def _content(deps: Deps, order: JobOrder, site: str, asked: OutputOrder, result: OutputResult) -> Content | None:
    bound: Residency = of_output(order.residency, asked.type)
    common: dict[str, Any] = {
        "zones": bound.zones, "release": bound.release if bound.zones else (), "type": asked.type, "job": order.name
    }  # fmt: skip
    if result.place is not None:
        with deps.store.read() as tx:
            _, zone, only = datastores.reach(tx, order.workspace, result.place.datastore, result.place.path)
        zones = common["zones"] or ((zone,) if zone else ())
        return Content(place=result.place, **{**common, "zones": zones, "site": only})
    if result.tree is None:
        return None
    if result.bound:
        return Content(tree=result.tree, site=site, site_only=True, **common)
    if result.tree.kind == "tree":
        artifacts.manifest(deps, order.workspace, result.tree.digest)
    else:
        artifacts.visible(deps, order.workspace, result.tree.digest)
    return Content(tree=result.tree, **common)


def _registered(
    now: Turn, row: Row, order: JobOrder, found: Found, completed: bool
) -> tuple[dict[str, Json], list[str]]:
    outputs: dict[str, Json] = {}
    notes: list[str] = []
    for name, content in found.contents.items():
        asked = order.outputs.get(name)
        asset = ""
        if asked is not None and asked.asset_name and completed:
            try:
                asset = _asset(now, row, name, asked, content)
            except (Conflict, Refused) as error:
                notes.append(f"output {name} was not registered: {_words(error)}")
        told = content.model_dump(mode="json", exclude={"node"})
        outputs[name] = {
            "tree": told["tree"], "place": told["place"], "bound": content.site_only, "site": content.site,
            "asset": asset, "content": told,
        }  # fmt: skip
    return outputs, notes


def _asset(now: Turn, row: Row, name: str, asked: OutputOrder, content: Content) -> str:
    written = (row.spec.get("outputs") or {}).get(name) or {}
    common = {
        "name": asked.asset_name, "version": asked.asset_version or None, "path": f"azureml://jobs/{row.name}/outputs/{name}",
        "description": written.get("description", ""), "tags": written.get("tags", {}),
    }  # fmt: skip
    if asked.type in MODEL_TYPES:
        made = assets.insert(now, SYSTEM, row.workspace, "model", Model(type=asked.type, **common), content)
        return f"model:{made.name}:{made.version}"
    kind = asked.type if asked.type in ("uri_file", "uri_folder", "mltable") else "uri_folder"
    made = assets.insert(now, SYSTEM, row.workspace, "data", Data(type=kind, **common), content)
    return f"data:{made.name}:{made.version}"


def _words(error: FerryError) -> str:
    return f"{error.code}: {error.message}"
