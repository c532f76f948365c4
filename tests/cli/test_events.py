"""`ferry event`."""


def test_events_are_listed_by_subject_and_number(ferry):
    assert ferry("site", "create", "-n", "quiet").code == 0
    assert ferry("alias", "set", "-n", "x", "--to", "c1").code == 0
    verbs = ferry("event", "list", "--query", "[].verb", "-o", "tsv").out.split()
    assert "workspace.update" in verbs
    last = ferry("event", "list", "--query", "[-1].seq", "-o", "tsv").out.strip()
    assert ferry("event", "list", "--after", last, "-o", "tsv").out == ""
    assert "compute" not in ferry("event", "list", "--subject", "workspace:team", "-o", "table").out
