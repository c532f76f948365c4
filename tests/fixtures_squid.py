"""A real HTTP proxy, for everything that must work where only a proxy leads out."""

import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures_components import serve, stop, unused_port
from kubebox.texts import HUB_NAME

USER, PASSWORD = "site", "p@ss:word/1"

CONFIG = """\
http_port 127.0.0.1:{port}
{rules}
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


OPEN = "http_access allow all"
BY_PASSWORD = """\
auth_param basic program /bin/sh {folder}/knows.sh
auth_param basic realm ferry
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
hosts_file {folder}/hosts"""
KNOWS = f"""\
while read -r said; do
    if [ "$said" = '{USER} {PASSWORD}' ]; then echo OK; else echo ERR; fi
done
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
    with _running(component("squid")["program"], OPEN, {}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def squid_with_password(component) -> Iterator[SquidProxy]:
    """The same for those alone who know a password; it finds clusters' name of this machine."""
    program = component("squid")["program"]
    files = {"knows.sh": KNOWS, "hosts": f"127.0.0.1 {HUB_NAME}\n"}
    with _running(program, BY_PASSWORD, files) as proxy:
        yield proxy


@contextmanager
def _running(program: str, rules: str, files: Mapping[str, str]) -> Iterator[SquidProxy]:
    folder = Path(tempfile.mkdtemp(prefix="ferry-squid-"))
    port = unused_port()
    try:
        for name, text in files.items():
            (folder / name).write_text(text)
        told = CONFIG.format(port=port, folder=folder, rules=rules.format(folder=folder))
        (folder / "squid.conf").write_text(told)
        if os.geteuid() == 0:  # squid gives up root by itself and must still write its log
            entry = pwd.getpwnam("proxy")
            for path in (folder, *folder.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        process = serve([program, "-N", "-f", str(folder / "squid.conf")], port)
        try:
            yield SquidProxy(f"http://127.0.0.1:{port}", folder / "access.log")
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
