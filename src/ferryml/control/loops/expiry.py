"""Throws away what nobody will come back for."""

from __future__ import annotations

from datetime import timedelta

from ferryml.control import connections
from ferryml.control.context import Deps


def tick(deps: Deps) -> int:
    """Unfinished uploads that nobody touched for upload_ttl_s, connections that are over, audit rows after
    audit_keep_days; how many."""
    before = deps.dice.now() - timedelta(seconds=deps.settings.upload_ttl_s)
    done = deps.blobs.upload_sweep(before) + connections.sweep(deps)
    if deps.settings.audit_keep_days:
        with deps.store.begin() as tx:
            done += tx.forget_audits(tx.now() - timedelta(days=deps.settings.audit_keep_days))
    return done
