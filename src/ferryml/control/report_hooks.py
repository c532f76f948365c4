"""What to do with a report, by its kind: each noun brings its own hook, bootstrap puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ferryml.control.context import Deps, Turn
from ferryml.domain.link import Report

Apply = Callable[[Turn], None]
Hook = Callable[[Deps, str, Report], Apply]
"""`hook(deps, site, report)` does what may take time (MLflow, blobs) and gives back what belongs into the transaction
that marks the report as handled. It may be called again for the same report, so both halves are idempotent.
Raising Unavailable leaves the report for a later turn."""

Hooks = Mapping[str, Hook]
"""`report.status.kind` -> hook: Job, Endpoint, Feedback, Gone."""


def gone(deps: Deps, site: str, report: Report) -> Apply:
    """A tombstone was carried out: the wish is dropped."""

    def apply(now: Turn) -> None:
        wish = now.tx.wish(site, report.uid)
        if wish is not None and wish.order is None:
            now.tx.drop_wish(site, report.uid)

    return apply
