"""Which tests share a process: files whose tests stand on each other, or on the same servers and clusters."""

from __future__ import annotations

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

CLUSTERS = "tests/system_kubernetes/"
PROGRAMS = "tests/system/"
ROUGH = ("test_faults.py", "test_isolation.py", "test_link.py", "test_restore.py")
BARE = ("test_kube.py", "test_kubebox.py", "test_manifests.py", "test_quickstart.py")
IMAGES = ("test_image_builds.py", "test_images.py")
SERVING = ("test_records.py", "test_router.py", "test_scaling.py", "test_serving.py")
TWO = ("test_patterns.py", "test_spread.py")
"""On the same two clusters; the last one ends them."""
GROUPS = {
    name: group
    for group, names in {"rough": ROUGH, "bare": BARE, "images": IMAGES, "serving": SERVING, "two": TWO}.items()
    for name in names
}
"""Of cluster tests by file, so that groups take about as long; others that are not here share one site."""
LONGEST = (
    "two",
    "serving",
    "rough",
    "test_rollout_faults.py",
    "site",
    "images",
    "test_install.py",
    "bare",
    "test_demo_kubernetes.py",
)
"""Groups of cluster tests; files among them are groups of their own. The longest begin first, so both end together."""


def group(nodeid: str) -> str:
    """What a test's name alone decides; tests in a group run in one process, in order."""
    file = nodeid.partition("::")[0]
    if file.startswith(PROGRAMS):
        return file
    if not file.startswith(CLUSTERS):
        return nodeid
    name = file.removeprefix(CLUSTERS)
    return name if name in LONGEST else GROUPS.get(name, "site")


class ByGroup(LoadScopeScheduling):
    """xdist's own scheduler of groups; its marks of groups do not reach it with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order in which they are given out."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(group(item.nodeid), -1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    """For every `-n`."""
    config.option.loadscopereorder = False
    return ByGroup(config, log)
