"""Exemptions carry reason and date, and leave when they are no longer needed."""

import fnmatch
import re

from exemptions import EXEMPTIONS
from source import files, named, place, tree


def test_each_exemption_has_a_date_and_a_reason():
    poor = [
        f"{rule}: {where}: {reason}"
        for rule, places in EXEMPTIONS.items()
        for where, reason in places.items()
        if not re.match(r"20\d\d-\d\d-\d\d: .{20,}", reason)
    ]
    assert not poor, "write YYYY-MM-DD: why this one place cannot follow the rule\n" + "\n".join(poor)


def test_each_exemption_names_a_place_that_exists():
    places = set()
    for path in files("src", "tests", "scripts", "benchmarks", "examples"):
        places |= {place(path), *(place(path, name) for name, _ in named(tree(path)))}
    gone = [
        f"{rule}: {pattern}"
        for rule, patterns in EXEMPTIONS.items()
        for pattern in patterns
        if not any(fnmatch.fnmatchcase(where, pattern) for where in places)
    ]
    assert not gone, "\n".join(gone)
