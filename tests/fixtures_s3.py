"""A real S3 server over a temporary folder."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures_components import serve, stop, unused_port


@dataclass(frozen=True)
class S3Server:
    """How to reach it. Path-style addresses, plain HTTP."""

    url: str
    access_key: str
    secret_key: str
    region: str
    folder: Path

    def new_bucket(self) -> str:
        """Makes an empty bucket and gives its name."""
        name = f"bucket-{secrets.token_hex(6)}"
        (self.folder / name).mkdir()
        return name


@pytest.fixture(scope="session")
def s3_server(component) -> Iterator[S3Server]:
    """versitygw for as long as the run lives."""
    program = component("versitygw")["program"]
    home = Path(tempfile.mkdtemp(prefix="ferry-s3-"))
    port = unused_port()
    server = S3Server(f"http://127.0.0.1:{port}", "ferrytest", secrets.token_hex(16), "us-east-1", home / "data")
    # Metadata in files of their own: not every temporary folder has extended attributes.
    for folder in ("data", "metadata"):
        (home / folder).mkdir()
    argv = [program, "--port", f"127.0.0.1:{port}", "--region", server.region, "--quiet"]
    argv += ["posix", "--sidecar", str(home / "metadata"), str(server.folder)]
    keys = {"ROOT_ACCESS_KEY": server.access_key, "ROOT_SECRET_KEY": server.secret_key}
    try:
        process = serve(argv, port, env=os.environ | keys)
        try:
            yield server
        finally:
            stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)
