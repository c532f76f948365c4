"""Asking a site what is there now: computes are judged by what it answers, not by what it said a while ago."""

from __future__ import annotations

import time
from typing import Any, Literal

from ferryml.control.context import Deps, Turn, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.sites import ONLINE, seen_channel
from ferryml.domain.orders import SettingsOrder

LOOK = "look"
"""Capability of agents that answer."""
PATIENCE_S = 10.0
"""Longest wait for an answer; a site that does not answer is judged by what it said last."""


def ask(deps: Deps, site: str, doctor: Literal["no", "once", "again"] = "no", extra: tuple[Json, ...] = ()) -> str:
    """Tell the site which computes it has, and to look again; the word that its answer will carry, or empty when it
    cannot be asked.

    Args:
        doctor: run every check of the doctor, too; `again` also tries anew what only pods can show.
        extra: computes that are not stored yet.
    """
    nonce = deps.dice.id(12)

    def work(now: Turn) -> str:
        row = now.tx.get("site", "", site)
        if row is None or row.phase != ONLINE or LOOK not in row.status.get("capabilities", ()):
            return ""
        settings: dict[str, Json] = {"computes": [*_computes(now.tx, site), *extra], "ask": nonce}
        settings |= {"doctor": doctor != "no", "again": doctor == "again"}
        order = SettingsOrder(settings=settings)
        now.tx.put_wish(site, f"settings.{site}", order.model_dump(mode="json"))
        now.wake(f"site:{site}")
        return nonce

    return changed(deps, work)


def answered(deps: Deps, site: str, nonce: str, wait_s: float = PATIENCE_S) -> bool:
    """Whether the site has answered; waits for it up to `wait_s`."""
    deadline = time.monotonic() + wait_s
    while nonce:
        with deps.store.read() as tx:
            row = tx.get("site", "", site)
        if row is None:
            return False
        if (row.status.get("inventory") or {}).get("answered") == nonce:
            return True
        left = deadline - time.monotonic()
        if left <= 0 or deps.stopping.is_set():
            return False
        deps.wait(seen_channel(site), left)
    return False


def wanted(workspace: str, spec: dict[str, Any]) -> Json:
    """One compute as the site is told of it."""
    return {
        "workspace": workspace, "name": spec["name"], "namespace": spec.get("namespace", "default"),
        "create_namespace": bool(spec.get("create_namespace")),
    }  # fmt: skip


def _computes(tx: Tx, site: str) -> list[Json]:
    rows: list[Row] = tx.find("compute", limit=10_000)
    return [
        wanted(row.workspace, row.spec)
        for row in rows
        if row.status.get("site") == site and row.spec.get("type") == "kubernetes"
    ]
