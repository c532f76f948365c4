"""What tests/README.md says is proved has the test that it names."""

import re

from source import DEFINITION, ROOT, tree

PROOFS = (ROOT / "tests" / "README.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+(?:\.py)?/?)(?:::(\w+))?`")


def test_every_named_test_exists():
    named = NAMED.findall(PROOFS)
    assert len(named) > 50
    missing = [
        f"{path}::{name}" if name else path
        for path, name in named
        if not (ROOT / path).exists()
        or (name and name not in {node.name for node in tree(ROOT / path).body if isinstance(node, DEFINITION)})
    ]
    assert not missing, missing


def test_every_item_has_a_proof():
    rows = re.findall(r"^\| (\d+) \|(.*)$", PROOFS, re.M)
    assert [int(number) for number, _ in rows] == list(range(50, 70))
    assert all(NAMED.search(row) for _, row in rows)
