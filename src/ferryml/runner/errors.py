"""Finds the lines of a log that say why a program failed."""

from __future__ import annotations

import os
import re

TAIL = 256 * 1024
MOST_LINES = 12
LONGEST_LINE = 500

_TRACEBACK = "Traceback (most recent call last):"
_TELLING = re.compile(r"error|exception|fatal|not found|no such file|denied|killed|abort|fail", re.IGNORECASE)


def error_lines(path: str) -> list[str]:
    """The reason first, then where: last traceback of the log's tail, else telling lines, else the last ones."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip()[:LONGEST_LINE] for line in re.split(r"\r?\n|\r", text)]
    found = _from_traceback(lines) or [line for line in lines if _TELLING.search(line)][:MOST_LINES]
    return found or [line for line in lines if line.strip()][-5:]


def _from_traceback(lines: list[str]) -> list[str]:
    starts = [number for number, line in enumerate(lines) if _TRACEBACK in line]
    if not starts:
        return []
    start = starts[-1]
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith((" ", "\t"))):
        end += 1
    reason = [line for line in lines[end : end + 3] if line.strip()]
    frames = [line for line in lines[start:end] if line.strip()]
    return reason[:1] + frames[-(MOST_LINES - 1) :] if reason else frames[-MOST_LINES:]
