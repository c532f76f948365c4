"""A library enters by name, with its reason; the locks hold every one of them and no address."""

import re
import tomllib

from source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTED = re.compile(r'^\s*"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?P<bounds>[^"]*)",?\s*(?P<comment>#.*)?$')


def wanted():
    project = PROJECT["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    return {normal(re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0]) for group in groups for line in group}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_each_dependency_has_its_reason_beside_it():
    names = wanted()
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    found = [m for m in map(LISTED.match, lines) if m and normal(m["name"]) in names]
    assert {normal(m["name"]) for m in found} == names
    silent = [m["name"] for m in found if len((m["comment"] or "").strip("# ")) < 8]
    assert not silent, f"say why it is needed, in a comment beside it: {silent}"


def test_the_lock_holds_every_dependency():
    pinned = {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "locks/dev.txt").read_text(), re.M)}
    assert not wanted() - pinned, f"run make lock: {sorted(wanted() - pinned)}"


def test_every_pin_has_hashes_and_no_address():
    for lock in (ROOT / "locks").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text, f"{lock.name} names a host"
        pins = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
        assert pins, f"{lock.name} is empty"
        assert not [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]


def test_the_client_stays_small():
    assert len(PROJECT["project"]["dependencies"]) <= 7
