"""Why a job waits or failed: rules over facts, each with cause, evidence and fix; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ferryml.domain.explain import (
    admission,
    building,
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
    *building.RULES,
    *preparing.RULES,
    *network.RULES,
)


def explain(facts: Facts) -> tuple[Finding, ...]:
    """What is known of the cause, the most certain first; empty when nothing keeps it."""
    said = clues(facts)
    leads = [lead for rule in RULES for lead in rule(facts, said)]
    leads.sort(key=lambda lead: (bool(lead.last), -lead.sure))
    kept = sorted(_distinct(leads), key=lambda lead: -lead.sure)
    return tuple(lead.finding for lead in kept[:MOST])


def _distinct(leads: Iterable[Lead]) -> Iterator[Lead]:
    """Without what a surer rule has said of the same text, and without what is said only when nothing else is."""
    checks: set[str] = set()
    families: set[str] = set()
    texts: set[str] = set()
    for lead in leads:
        known = lead.finding.check in checks or lead.text in texts
        if known or (lead.last and lead.family in families) or (lead.last == "all" and checks):
            continue
        checks.add(lead.finding.check)
        families.add(lead.family)
        texts |= {lead.text} - {""}
        yield lead
