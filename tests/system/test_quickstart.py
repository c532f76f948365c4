"""The README's quickstart works to the letter: its commands are read from the page and typed into a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ("make setup", ". .venv/bin/activate")


def commands():
    chapter = (ROOT / "README.md").read_text().split("## Quickstart")[1]
    block = re.search(r"```sh\n(.*?)```", chapter, re.S).group(1)
    return [line for line in block.splitlines() if line not in INSTALLED]


@pytest.mark.timeout(600)
def test_the_quickstart_works_to_the_letter(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FERRY_", "MLFLOW_"))}
    env |= {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    script = "\n".join(["set -euo pipefail", "trap 'ferry down || true' EXIT", *commands()])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=570, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "accuracy on unseen images" in done.stdout
    assert re.search(r"^\[\s*7\s*\]$", done.stdout, re.M), "the seven was not recognised"


def test_the_quickstart_installs_first():
    chapter = (ROOT / "README.md").read_text().split("## Quickstart")[1]
    assert all(line in chapter for line in INSTALLED)
