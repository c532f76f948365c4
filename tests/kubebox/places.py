"""Where kubebox keeps what it builds and what it runs, and the versions of both."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

KUBERNETES = "1.34.4"
COREDNS = "1.13.1"
HELM = "3.20.0"
KWOK = "0.7.0"
SOURCES = Path(__file__).parent / "go"
CHECKOUT = Path(__file__).resolve().parents[2]
LONGEST_RUN_FOLDER = 50  # characters: sockets below it may have 107 in all


class KubeboxError(Exception):
    """Something of the harness did not work; the text says what, and shows the end of the log."""


def home() -> Path:
    """What is built once and kept: programs and images. KUBEBOX_HOME names another place."""
    return Path(os.environ.get("KUBEBOX_HOME") or CHECKOUT / ".cache" / "kubebox").resolve()


def run_folder() -> Path:
    """What lives while clusters run. A checkout with a long path gets a short one, for the sake of Unix sockets."""
    folder = home() / "run"
    if len(str(folder)) <= LONGEST_RUN_FOLDER:
        return folder
    return Path("/var/tmp") / f"kubebox-{digest(str(folder))}"


def digest(*parts: str | bytes) -> str:
    """12 hex digits that change when any part does."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:12]


def program(name: str) -> Path:
    """The program of that name, built or not; its file name changes with sources and versions."""
    return home() / "bin" / f"{name}-{key(name)}"


def key(name: str) -> str:
    """What a program is made from, as a short hash."""
    version = {"kubernetes": KUBERNETES, "coredns": COREDNS, "helm": HELM, "kwok": KWOK}.get(name, "")
    source = SOURCES / name
    texts = [path.read_bytes() for path in sorted(source.glob("*"))] if source.exists() else []
    return digest(name, version, *texts)
