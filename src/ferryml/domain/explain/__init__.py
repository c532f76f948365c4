"""Why a job waits or failed: rules over facts, each with cause, evidence and fix; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable

from ferryml.domain.explain import (
    admission,
    containers,
    images,
    machines,
    network,
    preparing,
    scheduling,
    volumes,
    waiting,
)
from ferryml.domain.explain.clues import clues
from ferryml.domain.explain.facts import Facts, Refusal
from ferryml.domain.explain.kit import Lead, Look
from ferryml.domain.statuses import Finding

__all__ = ["MOST", "RULES", "Facts", "Finding", "Refusal", "explain"]

MOST = 8
"""Findings told; what is less sure is left out."""

RULES: tuple[Look, ...] = (
    *admission.RULES,
    *scheduling.RULES,
    *waiting.RULES,
    *volumes.RULES,
    *images.RULES,
    *machines.RULES,
    *containers.RULES,
    *preparing.RULES,
    *network.RULES,
)


def explain(facts: Facts) -> tuple[Finding, ...]:
    """What is known of the cause, the most certain first; empty when nothing keeps it."""
    said = clues(facts)
    leads = [lead for rule in RULES for lead in rule(facts, said)]
    specific = {lead.family for lead in leads if not lead.last}
    kept = [lead for lead in leads if not (lead.last and lead.family in specific)]
    kept.sort(key=lambda lead: -lead.sure)
    return tuple(_distinct(kept))[:MOST]


def _distinct(leads: Iterable[Lead]) -> Iterable[Finding]:
    seen: set[str] = set()
    for lead in leads:
        if lead.finding.check not in seen:
            seen.add(lead.finding.check)
            yield lead.finding
