"""Finds the real servers for tests, and says at the end of a run which groups of tests did not run and why."""

import collections
import json
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import components
import pytest

BY_FIXTURE = {
    "clusters": "kubernetes",
    "postgres_server": "postgres",
    "s3_server": "versitygw",
    "squid_proxy": "squid",
    "inspecting_squid": "squid-openssl",
}
INSTALL_LIMIT_S = 900
UNIT_LIMIT_S = 2
DID_NOT_RUN = "did not run: "


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--components=wait`: the installer runs beside the tests; wait for what it says."""
    parser.addoption("--components", choices=["here", "wait"], default="here", help="wait for scripts/components.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for an installation get the time for it, and run after those that need nothing."""
    needy = {id(item): set(BY_FIXTURE) & set(getattr(item, "fixturenames", ())) for item in items}
    for item in items:
        if needy[id(item)]:
            item.add_marker(pytest.mark.timeout(INSTALL_LIMIT_S + 120))
    items.sort(key=lambda item: bool(needy[id(item)]))


@pytest.fixture(scope="session")
def component(request: pytest.FixtureRequest) -> Callable[[str], Mapping[str, str]]:
    """`component("squid")` gives its paths; missing is a skip with its reason, and under CI=true a failure."""

    def look(name: str) -> Mapping[str, str]:
        try:
            return _installed(name) if request.config.getoption("--components") == "wait" else components.find(name)
        except components.MissingError as error:
            not_run(f"{name}: {error}")

    return look


def not_run(what: str) -> NoReturn:
    """`what` is `GROUP: REASON`: a skip that the end of the run names, and under CI=true a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{DID_NOT_RUN}{what}", pytrace=False)
    pytest.skip(f"{DID_NOT_RUN}{what}")


def _installed(name: str) -> Mapping[str, str]:
    answer = components.STATES / f"{name}.json"
    deadline = time.monotonic() + INSTALL_LIMIT_S
    while not answer.exists():
        if time.monotonic() > deadline:
            raise components.MissingError(f"its installation took longer than {INSTALL_LIMIT_S} s")
        time.sleep(0.5)
    said = json.loads(answer.read_text())
    if "missing" in said:
        raise components.MissingError(said["missing"])
    return said["paths"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each component that was missing, with the number of tests that needed it; slow unit tests."""
    _name_slow_ones(terminalreporter)
    counted: collections.Counter[str] = collections.Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if DID_NOT_RUN in reason:
            counted[reason.split(DID_NOT_RUN, 1)[1]] += 1
    for reason, number in sorted(counted.items()):
        name, _, why = reason.partition(": ")
        terminalreporter.write_line(f"did not run: {number} tests that need {name}, because {why}", yellow=True)


def _name_slow_ones(terminalreporter: pytest.TerminalReporter) -> None:
    """The house allows a unit test 2 s; a busy machine may take longer, so this only tells."""
    slow = sorted(
        (report.duration, report.nodeid)
        for report in terminalreporter.stats.get("passed", [])
        if report.duration > UNIT_LIMIT_S and not report.nodeid.startswith(("tests/contract/", "tests/system"))
    )
    for duration, name in slow[-10:]:
        terminalreporter.write_line(f"slow for a unit test: {duration:.1f} s {name}")


def serve(argv: list[str], port: int, limit_s: float = 30, **options: object) -> subprocess.Popen[bytes]:
    """Starts a server and waits until it listens on 127.0.0.1:port; its own words are in the error if it does not."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, **options)
        deadline = time.monotonic() + limit_s
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                stop(process)
                said.seek(0)
                tail = said.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{Path(argv[0]).name} did not start on port {port}: {tail}")
            time.sleep(0.05)
    return process


def stop(process: subprocess.Popen[bytes], signal_number: int = 15) -> None:
    """Ends a server that `serve` started; a deaf one is killed after 20 s."""
    if process.poll() is None:
        process.send_signal(signal_number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listened a moment ago."""
    return unused_port()


def unused_port() -> int:
    """For servers that cannot bind port 0 and say which one they got; below the ports that the kernel hands out."""
    for _ in range(200):
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
