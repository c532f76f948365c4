"""A kubectl that answers as it is told to, and remembers what it was asked; for tests of what calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = """#!/bin/sh
echo "$@" >> {asked}
case "$*" in *"{refuses}"*) echo "no such cluster" >&2; exit 1;; esac
[ "$2" = "" ] || cat {answer}
"""


def a_kubectl(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str = "", refuses: str = "what nobody says"
) -> Callable[[], list[str]]:
    """Alone on PATH beside the system's own programs; the lines that it was called with."""
    place = folder / "programs"
    place.mkdir()
    (place / "answer").write_text(answer)
    script = place / "kubectl"
    script.write_text(SCRIPT.format(asked=place / "asked", answer=place / "answer", refuses=refuses))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return lambda: (place / "asked").read_text().splitlines() if (place / "asked").exists() else []
