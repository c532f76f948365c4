"""`ferry workspace` beyond what all named things share."""

import json


def test_the_signing_key_is_rotated_by_a_command(ferry):
    first = json.loads(ferry("workspace", "rotate-token-key").out)["keys"]
    both = json.loads(ferry("workspace", "rotate-token-key").out)["keys"]
    assert both[0] == first[0]
    assert ferry("workspace", "rotate-token-key").err.startswith("Error: [OperationInProgress]")
    last = json.loads(ferry("workspace", "rotate-token-key", "--revoke").out)["keys"]
    assert len(last) == 1
    assert last[0]["kid"] not in {one["kid"] for one in both}


def test_the_present_one_is_shown_unless_another_is_named(ferry):
    assert ferry("workspace", "create", "-n", "plant").code == 0
    for args in (["-n", "plant"], ["-w", "plant"]):
        assert ferry("workspace", "show", *args, "--query", "name", "-o", "tsv").out == "plant\n"
    assert ferry("workspace", "show", "--query", "name", "-o", "tsv").out == "team\n"
    assert "plant" in ferry("workspace", "list", "-o", "table").out
