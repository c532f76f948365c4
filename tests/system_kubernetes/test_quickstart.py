"""docs/quickstart-kubernetes.md works to the letter: its commands are typed into a shell, against a real cluster."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kubebox_images as images
from kubebox.cluster import Cluster
from system_play import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "quickstart-kubernetes.md"
PORT = "8765"
TOKEN = "join_onprem_TOKEN"
"""What the page has in a token's place."""
LIMIT_S = 500
pytestmark = pytest.mark.timeout(900)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)


def script(host: str, port: int) -> str:
    """The page's blocks; only addresses and the token are ours, the token as the page's own command prints it."""
    text = "\n".join(blocks()).replace("HOST=ferry.example NAMED=DNS:ferry.example", f"HOST={host} NAMED=IP:{host}")
    text = text.replace("ferry.example", host).replace("0.0.0.0", host).replace(PORT, str(port))
    create = "ferry site create -n onprem --zone eu-dc1"
    assert create in text
    assert TOKEN in text
    keep = f'{create} > site.json\nJOIN=$(python -c \'import json; print(json.load(open("site.json"))["join_token"])\')'
    return text.replace(create, keep).replace(TOKEN, '"$JOIN"')


def helm_line(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("helm upgrade --install"))


@pytest.fixture
def bare(component, clusters) -> Cluster:
    """A cluster that nobody has joined, with Ferry's images in it."""
    component("buildah")
    cluster: Cluster = clusters.kubebox("cloud", nodes=2)
    for name in ("agent", "runner"):
        cluster.load_image(images.build(name))
    ours = ("-l", "app.kubernetes.io/part-of=ferry", "--ignore-not-found")
    cluster.kubectl(
        "delete", "namespace", "ferry-system", "ferry-environments", "team-a", "--ignore-not-found", "--timeout=100s"
    )
    cluster.kubectl("delete", "clusterroles,clusterrolebindings", *ours)
    return cluster


def test_the_quickstart_attaches_a_cluster(component, bare: Cluster, tmp_path: Path) -> None:
    for name in ("deploy", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "helm").symlink_to(component("helm")["helm"])
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FERRY_", "MLFLOW_"))}
    env |= {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{env['PATH']}", "KUBECONFIG": str(bare.kubeconfig),
        "XDG_CONFIG_HOME": str(tmp_path / "config"), "no_proxy": "*",
    }  # fmt: skip
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", script(bare.hub, free_port())]
    shell = subprocess.Popen(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, complained = shell.communicate(timeout=LIMIT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        bare.kubectl("delete", "namespace", "ferry-system", "team-a", "--wait=false", "--ignore-not-found")
    assert shell.returncode == 0, said[-3000:] + complained[-3000:] + _log(tmp_path)
    assert re.search(r"^Online$", said, re.M)
    assert re.search(r"^onprem: (ok|warning)$", said, re.M)
    assert re.search(r"^hello from hello-", said, re.M)
    assert int((tmp_path / "play/hello/named-outputs/answer/cores").read_text()) > 0
    printed = re.search(r'"helm": "(.*?)"', (tmp_path / "site.json").read_text())
    assert printed is not None
    without = re.sub(r"join_onprem_[\w-]+", TOKEN, printed[1]).replace(bare.hub, "ferry.example")
    assert helm_line("\n".join(blocks())).startswith(re.sub(r":\d+ ", f":{PORT} ", without))
    assert not bare.kubectl("get", "all", "-A", "-l", "app.kubernetes.io/part-of=ferry", "-o", "name")


def _log(folder: Path) -> str:
    log = folder / "play" / "server.log"
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
