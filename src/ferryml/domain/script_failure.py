"""Why a scoring program does not start, read from what it printed, in Azure ML's codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FailureCode = Literal[
    "UserScriptImportError", "UserScriptInitFailed", "UserScriptFunctionNotFound", "DeploymentCrashLoopBackOff"
]
MAX_TRACEBACK = 6000
MAX_WORKER_DEATHS = 3
"""Workers lost before the first was ready; the server itself would go on for ever."""

_START = "Traceback (most recent call last):"
_CHAIN = re.compile(r"\n\nThe above exception was the direct cause of the following exception:\n\n")
_NO_FUNCTION = re.compile(r"does not have a (init|run)\(\) function defined")
_WORKER_DEATH = re.compile(r"Worker \(pid:\d+\) (?:exited with code|was sent|was terminated)[^\n]*")
_STAMPED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ")


@dataclass(frozen=True, slots=True)
class ScriptFailure:
    """`final`: trying again cannot help."""

    code: FailureCode
    reason: str
    traceback: str
    final: bool


def script_failure(log: str, exit_code: int | None) -> ScriptFailure:
    """What the end of one start's log says."""
    ended = f"the program ended with exit code {exit_code}" if exit_code is not None else "the program ended"
    block = _last_traceback(log)
    users = _CHAIN.split(block)[0]
    last = _last_line(users)
    if found := _NO_FUNCTION.search(block):
        return ScriptFailure("UserScriptFunctionNotFound", f"the scoring script has no {found[1]}()", "", True)
    if "UserScriptImportException" in block:
        return ScriptFailure(
            "UserScriptImportError", f"the scoring script could not be imported: {last}", _cut(users), True
        )
    if "User's init function failed" in log and block:
        return ScriptFailure("UserScriptInitFailed", f"init() raised {last}", _cut(users), False)
    if block:
        return ScriptFailure("DeploymentCrashLoopBackOff", f"{ended}: {last}", _cut(block), False)
    deaths = _WORKER_DEATH.findall(log)
    tail = deaths[-1] if deaths else _last_line(log)
    return ScriptFailure("DeploymentCrashLoopBackOff", f"{ended}: {tail}" if tail else ended, "", False)


def keeps_losing_workers(log: str) -> bool:
    """The server lives, but its workers end again and again (killed for memory, ended by the script)."""
    return len(_WORKER_DEATH.findall(log)) >= MAX_WORKER_DEATHS


def _last_traceback(log: str) -> str:
    """The last chain of tracebacks: from its first `Traceback` to the line that the server stamped next."""
    if _START not in log:
        return ""
    pieces: list[list[str]] = []
    inside = False
    for line in log.splitlines():
        if line.endswith(_START) and not (inside and pieces and _continues(pieces[-1])):
            pieces.append([_START])
            inside = True
        elif _STAMPED.match(line):
            inside = False
        elif inside:
            pieces[-1].append(line)
    return "\n".join(pieces[-1]).strip()


def _continues(lines: list[str]) -> bool:
    said = next((line for line in reversed(lines) if line.strip()), "")
    return said.startswith(("The above exception was", "During handling of the above"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    for line in reversed(lines):
        if not line.startswith(("^", "~")):
            return line[:400]
    return lines[-1][:400]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TRACEBACK else text[:1000] + "\n...\n" + text[-(MAX_TRACEBACK - 1005) :]
