"""`make demo-kubernetes`: the demo on two clusters of its own, each step checked by itself; nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kubebox.places import run_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "demo_kubernetes.py"
STEPS = (
    "Ferry runs in the cluster of cloud and has dialled in",
    "trained on cloud; registered as digits-model:1",
    "digits:2 arrived on onprem, bound to zone onprem",
    "gated: accuracy: candidate",
    "promoted: serves on digits",
    "rejected: accuracy: candidate",
    "above max_p99_ratio",
    "refused: ",
    "digits-loop-1-train",
    "All as it should be",
)
"""What it says, in this order."""
LIMIT_S = 1500
pytestmark = pytest.mark.timeout(LIMIT_S + 60)


def test_the_loop_closes_on_two_clusters_and_nothing_stays(component, tmp_path: Path) -> None:
    component("kubernetes")
    component("buildah")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    at = -1
    for step in STEPS:
        found = done.stdout.find(step, at + 1)
        assert found > at, f"{step!r} is missing or too early:\n{done.stdout}"
        at = found
    assert "something may be left" not in done.stdout
    assert not list(run_folder().glob("demo-*"))


def test_what_it_cannot_keep_it_refuses(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--keep"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "scripts/kubebox up" in done.stderr
