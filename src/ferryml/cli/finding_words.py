"""Findings of explainer and doctor as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED"}
WIDTH = 100


def causes(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each finding of the explainer: cause, evidence, fix."""
    lines: list[str] = []
    for number, each in enumerate(findings, 1):
        word = "" if each.get("level") == "failed" else " (it may pass by itself)"
        lines.append(f"{number}. {_sentence(each.get('cause'))} [{each.get('code')}]{word}")
        if each.get("evidence"):
            lines.append(f"   Seen: {each['evidence']}")
        if each.get("fix"):
            lines.append(f"   Fix:  {each['fix']}")
    return lines


def checks(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each line of the doctor: mark, check, what was found; the fix below what is not ok."""
    rows = list(findings)
    wide = max((len(str(each.get("check") or "")) for each in rows), default=0)
    lines: list[str] = []
    for each in rows:
        level = str(each.get("level"))
        code = f" [{each.get('code')}]" if level != "ok" else ""
        seen = f" ({each['evidence']})" if each.get("evidence") else ""
        lines.append(f"{MARKS.get(level, level):<8} {each.get('check') or '':<{wide}}  {each.get('cause')}{code}{seen}")
        if level != "ok" and each.get("fix"):
            lines.append(f"{'':<8} {'':<{wide}}  Fix: {each['fix']}")
    return lines


def instead(alternatives: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where it would start now."""
    lines = []
    for each in alternatives:
        kind = f", instance type {each['instance_type']}" if each.get("instance_type") else ""
        lines.append(f"  compute {each['compute']}{kind}: {each.get('words')}")
    return ["It would start now on:", *lines] if lines else []


def _sentence(text: object) -> str:
    words = str(text or "").strip()
    return words[:1].upper() + words[1:]
