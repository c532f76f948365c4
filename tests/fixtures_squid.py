"""A real HTTP proxy, for everything that must work where only a proxy leads out."""

import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures_components import serve, stop, unused_port

CONFIG = """\
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
pid_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
max_filedescriptors 1024
buffered_logs off
via off
"""


@dataclass(frozen=True)
class SquidProxy:
    """Its address, and the log that proves what went through it."""

    url: str
    access_log: Path

    def saw(self, text: str) -> bool:
        """Whether a request whose log line contains `text` went through; the log follows the answer by a moment."""
        deadline = time.monotonic() + 5
        while not (self.access_log.exists() and text in self.access_log.read_text()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@pytest.fixture
def squid_proxy(component) -> Iterator[SquidProxy]:
    """squid on a free port, allowing everything, remembering nothing."""
    program = component("squid")["program"]
    folder = Path(tempfile.mkdtemp(prefix="ferry-squid-"))
    port = unused_port()
    try:
        (folder / "squid.conf").write_text(CONFIG.format(port=port, folder=folder))
        if os.geteuid() == 0:  # squid gives up root by itself and must still write its log
            entry = pwd.getpwnam("proxy")
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        process = serve([program, "-N", "-f", str(folder / "squid.conf")], port)
        try:
            yield SquidProxy(f"http://127.0.0.1:{port}", folder / "access.log")
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
