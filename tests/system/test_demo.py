"""The demo as a newcomer runs it: every step is checked by the demo itself, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(600)

STEPS = (
    "trained on cloud; registered as digits-model:1",
    "digits:2 arrived on onprem, bound to zone onprem",
    "gated: accuracy: candidate",
    "promoted: serves on digits",
    "rejected: accuracy: candidate",
    "above max_p99_ratio",
    "refused: ",
    "All as it should be",
)
"""What it says, in this order."""


def test_the_loop_closes_and_nothing_stays(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "ferryml.cli.main", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stdout + done.stderr
    at = -1
    for step in STEPS:
        found = done.stdout.find(step, at + 1)
        assert found > at, f"{step!r} is missing or too early:\n{done.stdout}"
        at = found
    end = time.monotonic() + 10
    while (left := running_below(tmp_path)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def running_below(folder: Path) -> list[list[str]]:
    """Command lines of processes that have to do with the folder."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in " ".join(line)]


def test_a_broken_step_is_a_failure(tmp_path: Path):
    (tmp_path / ".ferry").write_text("a file where the demo's folder should be")
    done = subprocess.run(
        [sys.executable, "-m", "ferryml.cli.main", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
