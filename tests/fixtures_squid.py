"""A real HTTP proxy, for everything that must work where only a proxy leads out."""

import os
import pwd
import shutil
import subprocess
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
http_port 127.0.0.1:{port} {tls}
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
TLS = (
    "ssl-bump cert={folder}/authority.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB "
    "tls-dh=prime256v1:"
)
INSPECTING = """\
sslcrtd_program {folder}/maker -s {folder}/certificates -M 4MB
tls_outgoing_options cafile={folder}/origins.pem
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
http_access allow all
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
def inspecting(paths: Mapping[str, str], authority: str, origins: str) -> Iterator[SquidProxy]:
    """squid that opens TLS, as some companies' proxies do: it shows certificates of an authority of its own.

    Args:
        authority: PEM of its certificate and key.
        origins: PEM of those whom it trusts itself.
    """
    files = {"authority.pem": authority, "origins.pem": origins, "hosts": f"127.0.0.1 {HUB_NAME}\n"}
    maker = Path(paths["certificate_maker"])
    with _running(paths["program"], INSPECTING, files, TLS, maker) as proxy:
        yield proxy


@contextmanager
def _running(
    program: str, rules: str, files: Mapping[str, str], tls: str = "", maker: Path | None = None
) -> Iterator[SquidProxy]:
    folder = Path(tempfile.mkdtemp(prefix="ferry-squid-"))
    port = unused_port()
    try:
        for name, text in files.items():
            (folder / name).write_text(text)
        if maker is not None:
            shutil.copy(maker, folder / "maker")  # squid's own user must reach it
            made = [str(folder / "maker"), "-c", "-s", str(folder / "certificates"), "-M", "4MB"]
            subprocess.run(made, check=True, capture_output=True, timeout=30)
        said = {"rules": rules.format(folder=folder), "tls": tls.format(folder=folder)}
        told = CONFIG.format(port=port, folder=folder, **said)
        (folder / "squid.conf").write_text(told)
        if os.geteuid() == 0:  # squid gives up root by itself and must still write its log
            entry = pwd.getpwnam("proxy")
            for path in (folder, *folder.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        process = serve([program, "-N", "-f", str(folder / "squid.conf")], port)
        try:
            yield SquidProxy(f"http://127.0.0.1:{port}", folder / "access.log")
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
