"""Which tests share a process: files whose tests stand on each other, or on the same servers and clusters."""

from __future__ import annotations

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

CLUSTERS = "tests/system_kubernetes/"
PROGRAMS = "tests/system/"
ROUGH = ("test_faults.py", "test_isolation.py", "test_link.py", "test_restore.py")
BARE = (
    "test_images.py",
    "test_install.py",
    "test_kube.py",
    "test_kubebox.py",
    "test_manifests.py",
    "test_quickstart.py",
)
SERVING = ("test_records.py", "test_router.py", "test_scaling.py", "test_serving.py")
GROUPS = dict.fromkeys(ROUGH, "rough") | dict.fromkeys(BARE, "bare") | dict.fromkeys(SERVING, "serving")
"""Of cluster tests by file, so that groups take about as long; others that are not here share one site."""
APART = ("test_patterns.py", "test_demo_kubernetes.py")
"""Each with clusters of its own."""


def group(nodeid: str) -> str:
    """What a test's name alone decides; tests in a group run in one process, in order."""
    file = nodeid.partition("::")[0]
    if file.startswith(PROGRAMS):
        return PROGRAMS
    if not file.startswith(CLUSTERS):
        return nodeid
    name = file.removeprefix(CLUSTERS)
    return name if name in APART else GROUPS.get(name, "site")


class ByGroup(LoadScopeScheduling):
    """xdist's own scheduler of groups; its marks of groups do not reach it with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    """For every `-n`."""
    return ByGroup(config, log)
