"""What every test may use, and a loopback-only network inside the test process."""

import gc
import ipaddress
import socket
from pathlib import Path

import pytest

# Each tests/fixtures_*.py is a plugin; put new fixtures there.
pytest_plugins = sorted(file.stem for file in Path(__file__).parent.glob("fixtures_*.py"))


def pytest_configure() -> None:
    """Closes the way out of the test process: only loopback, Unix sockets and KUBECONFIG's clusters connect."""
    from fixtures_kubebox import given_hosts  # only now: pytest rewrites plugins as it loads them

    real = socket.socket.connect
    given = given_hosts()

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _loopback(address[0]) and address[0] not in given:
            raise OSError(f"tests reach loopback only, not {address[0]}")
        return real(self, address)

    socket.socket.connect = connect


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole-program tests start first because they take longest; charts need helm, which may still be being built."""
    items.sort(key=lambda item: ("/tests/system/" not in item.path.as_posix(), item.path.name == "test_charts.py"))


def pytest_collection_finish() -> None:
    """What is loaded by now stays, so the garbage collector need not look through it."""
    gc.collect()
    gc.freeze()
