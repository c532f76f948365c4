"""`ferry lineage`."""

import json


def test_edges_around_a_node(ferry, desk):
    folder = desk.folder({"main.py": b"x"})
    name = desk.job(code=f"content:tree:{folder.digest}:src")["name"]
    up = json.loads(ferry("lineage", "show", "-n", f"job:{name}").out)
    assert "code" in {edge["relation"] for edge in up["edges"]}
    table = ferry("lineage", "show", "-n", f"job:{name}", "-o", "table").out
    assert table.startswith("Source")
    assert f"job:{name}" in table
