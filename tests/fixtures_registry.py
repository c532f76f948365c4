"""A real registry of images that asks for a password, for everything that pulls."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures_components import serve, stop, unused_port

USER = PASSWORD = "kubebox"
HTPASSWD = f"{USER}:$2b$04$yTjXMEY/fxuuCFk/JXkXxe.Kjxximqxx4nXG3hIk6vdHLfwCoUaWO\n"
CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: kubebox, path: {folder}/htpasswd}}}}
"""


@dataclass(frozen=True)
class ImageRegistry:
    """Clusters reach it at `cluster.expose(registry.port)`, once each node has `trust_registry(that address)`."""

    port: int
    skopeo: str
    user: str = USER
    password: str = PASSWORD

    def push(self, archive: Path, name: str) -> None:
        """`name` is `REPOSITORY:TAG`."""
        to = f"docker://127.0.0.1:{self.port}/{name}"
        options = ["--dest-tls-verify=false", "--dest-creds", f"{self.user}:{self.password}"]
        argv = [self.skopeo, "--insecure-policy", "copy", "--quiet", *options, f"docker-archive:{archive}", to]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def image_registry(component) -> Iterator[ImageRegistry]:
    """Empty, on a free port."""
    with running_registry(component("registry")["docker-registry"], component("buildah")["skopeo"]) as registry:
        yield registry


@contextmanager
def running_registry(program: str, skopeo: str) -> Iterator[ImageRegistry]:
    """One for as long as the block."""
    folder, port = Path(tempfile.mkdtemp(prefix="ferry-registry-")), unused_port()
    try:
        (folder / "htpasswd").write_text(HTPASSWD)
        (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
        process = serve([program, "serve", str(folder / "config.yml")], port)
        try:
            yield ImageRegistry(port, skopeo)
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
