"""What the doctor of a site found, and asking it to look again; the server adds what only it can see."""

from __future__ import annotations

from ferryml.control import site_looks
from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Json, Row
from ferryml.control.rows import need
from ferryml.control.sites import OFFLINE, PENDING
from ferryml.domain.errors import Conflict
from ferryml.domain.link import PROTOCOL, SERVED
from ferryml.domain.statuses import Finding

GIB = 2**30
WORST = ("failed", "warning", "ok")
NAMED = 3
"""Orders that one line names."""


def examine(deps: Deps, caller: Caller, name: str, again: bool = False) -> Json:
    """Ask the site to run every check; the word that its answer will carry. Raises Conflict when it cannot be asked.

    What only pods can show is tried when it was not yet, or `again`.
    """
    allow(caller, "site.write", "")
    with deps.store.read() as tx:
        row = need(tx, "site", "", name)
    nonce = site_looks.ask(deps, name, doctor="again" if again else "once")
    if not nonce and row.status.get("backend") == "kubernetes":
        words = "has not joined yet" if row.phase == PENDING else f"is {row.phase}, or its agent is too old to be asked"
        raise Conflict("SiteOffline", f"site {name} {words}", "Run `ferry agent doctor` where the agent is.")
    return {"asked": nonce}


def findings(deps: Deps, caller: Caller, name: str, asked: str = "", wait_s: float = 0) -> Json:
    """What is known of the site's health; with `asked`, waits up to `wait_s` for the answer to that question."""
    allow(caller, "site.read", "")
    with deps.store.read() as tx:
        need(tx, "site", "", name)
    done = not asked or site_looks.answered(deps, name, asked, min(wait_s, 30.0))
    with deps.store.read() as tx:
        row = need(tx, "site", "", name)
    found = [*(each.model_dump(mode="json") for each in _ours(row)), *_told(row)]
    levels = {str(each.get("level")) for each in found}
    return {
        "site": name, "state": row.phase, "backend": row.status.get("backend", ""), "answered": done,
        "result": next((level for level in WORST if level in levels), "ok"), "findings": found,
    }  # fmt: skip


def _told(row: Row) -> list[Json]:
    inventory = row.status.get("inventory") or {}
    found = [*(inventory.get("doctor") or ())]
    for namespace, each in sorted((inventory.get("namespace_findings") or {}).items()):
        found += [{**finding, "evidence": finding.get("evidence") or f"namespace {namespace}"} for finding in each]
    return found


def _ours(row: Row) -> list[Finding]:
    return [_link(row), *([_protocol(row)] if row.phase != PENDING else []), *_unread(row), *_local(row)]


def _link(row: Row) -> Finding:
    seen = row.status.get("last_seen")
    if row.phase == PENDING:
        return Finding(
            check="link", code="SiteOffline", cause=f"site {row.name} has not joined yet",
            fix=f"Run the command that `ferry site create` printed; a new one: ferry site token -n {row.name}.",
        )  # fmt: skip
    if row.phase == OFFLINE:
        return Finding(
            check="link", code="SiteOffline", cause=f"site {row.name} has not been heard from",
            evidence=f"last: {seen}", fix="IT looks at its agent; what runs there goes on.",
        )  # fmt: skip
    return _good("link", "SiteOffline", "the agent is heard from", f"last: {seen}")


def _protocol(row: Row) -> Finding:
    version, protocol = row.status.get("version", "?"), row.status.get("protocol", PROTOCOL)
    words = f"agent {version}, protocol {protocol}; server protocol {PROTOCOL}"
    if protocol == PROTOCOL:
        return _good("version", "AgentTooOld", "the agent is as new as the server", words)
    if protocol not in SERVED:
        old = protocol < PROTOCOL
        return Finding(
            check="version", code="AgentTooOld" if old else "NotSupported", level="failed", evidence=words,
            cause=f"the agent is too {'old' if old else 'new'} for this server and gets no orders",
            fix="IT upgrades the site's chart." if old else "Upgrade the server.",
        )  # fmt: skip
    return Finding(
        check="version", code="AgentTooOld", level="warning", cause="the agent is one version behind", evidence=words,
        fix="IT upgrades the site's chart: the next server serves it no more.",
    )  # fmt: skip


def _unread(row: Row) -> list[Finding]:
    """Orders that its agent told it cannot read."""
    inventory = row.status.get("inventory") or {}
    named: dict[str, str] = inventory.get("unread") or {}
    if not named:
        return []
    count = int(inventory.get("unread_count") or len(named))
    return [
        Finding(
            check="orders", code="AgentTooOld", level="warning",
            cause=f"the agent is too old for {count} of the orders that were sent to it; all others it carries out",
            evidence="; ".join(f"{uid}: {parts}" for uid, parts in list(named.items())[:NAMED]),
            fix="IT upgrades the site's chart: those orders are taken up by themselves then.",
        )
    ]  # fmt: skip


def _local(row: Row) -> list[Finding]:
    free = (row.status.get("inventory") or {}).get("disk_free_bytes")
    if row.status.get("backend") != "local" or free is None:
        return []
    words = f"{free / GIB:.1f} GiB free"
    if free >= GIB:
        return [_good("disk", "DiskFull", "the disk has room", words)]
    cause, fix = "the site's disk is nearly full", "Free some space there."
    return [Finding(check="disk", code="DiskFull", cause=cause, evidence=words, fix=fix)]


def _good(check: str, code: str, cause: str, evidence: str) -> Finding:
    return Finding(check=check, code=code, level="ok", cause=cause, evidence=evidence)
