"""`ferry audit`."""


def test_changes_have_their_author(ferry):
    assert ferry("alias", "set", "-n", "x", "--to", "c1").code == 0
    assert ferry("audit", "list", "--query", "[-1].[actor, verb]", "-o", "tsv").out == "owner\nworkspace.update\n"
    assert len(ferry("audit", "list", "--max-results", "1", "-o", "tsv").out.splitlines()) == 1
