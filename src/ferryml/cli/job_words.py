"""Why a job is where it is, in sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.cli.finding_words import causes, instead

FAILED = ("Failed", "Canceled")
_NOTHING_TO_SAY = ("Running", "Completed", "Finalizing")


def said(job: Mapping[str, Any]) -> str:
    """One sentence about a job that does not run; empty when there is nothing to say."""
    ours = job.get("ferry") or {}
    reason = ours.get("reason")
    if job.get("status") in _NOTHING_TO_SAY or not reason:
        return ""
    code = f" [{ours['code']}]" if ours.get("code") else ""
    return f"{job['name']} is {job['status']}:{code} {reason}"


def logs_stay(job: Mapping[str, Any]) -> str:
    """Where a job's logs are when they never come here; empty when they do."""
    where = (job.get("ferry") or {}).get("logs_stay")
    if not where:
        return ""
    return f"logs of {job['name']} stay {where}; on the site `ferry gateway logs {job['name']}` reads them"


def explained(name: str, found: Mapping[str, Any]) -> str:
    """What `job show --explain` prints."""
    code = f" [{found['code']}]" if found.get("code") else ""
    lines = [f"{name} is {found.get('status')}{code}: {found.get('reason') or 'nothing keeps it'}"]
    lines += [f"  {line}" for line in found.get("error_lines") or ()]
    if found.get("site"):
        lines.append(f"Site: {found['site']} ({found.get('site_state', 'unknown')})")
    lines += causes(found.get("findings") or ())
    lines += instead(found.get("alternatives") or ())
    lines += [f"Note: {note}" for note in found.get("notes") or ()]
    lines += [f"Hint: {hint}" for hint in found.get("hints") or ()]
    times = found.get("times") or ()
    if times:
        lines.append("Times:")
        lines += [f"  {each.get('at', '')}  {each.get('phase', '')}" for each in times]
    return "\n".join(lines)
