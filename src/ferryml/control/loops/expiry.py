"""Throws away what nobody will come back for."""

from __future__ import annotations

from datetime import timedelta

from ferryml.control.context import Deps


def tick(deps: Deps) -> int:
    """Unfinished uploads that nobody touched for upload_ttl_s; how many."""
    before = deps.dice.now() - timedelta(seconds=deps.settings.upload_ttl_s)
    return deps.blobs.upload_sweep(before)
