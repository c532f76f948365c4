"""`ferry trace`."""

from ferryml.cli.trace import lines

FOUND = {
    "request_id": "abc-1", "revision": "abc", "endpoint": "e", "deployment": "blue",
    "deployed_at": "2024-05-01T10:00:00+00:00", "deployed_by": "ann",
    "models": ["model:digits:2"], "jobs": ["job:train"], "code": ["code:ff"], "environments": [], "data": ["data:d:1"],
    "lineage": {"nodes": [
        {"id": "job:train", "site": "onprem", "git_commit": "0123456789abcdef"},
        {"id": "data:d:1", "zones": ["eu"], "created_at": "2024-05-01T09:00:00+00:00", "created_by": "bob"},
    ]},
}  # fmt: skip


def test_the_chain_is_told_nearest_first():
    assert list(lines(FOUND)) == [
        "prediction   abc-1",
        "deployment   e/blue  (revision abc, 2024-05-01 10:00:00, by ann)",
        "model        digits:2",
        "job          train  (on onprem, commit 0123456789ab)",
        "code         ff",
        "data         d:1  (bound to eu, 2024-05-01 09:00:00, by bob)",
    ]


def test_an_unknown_request_is_said(ferry):
    said = ferry("trace", "nothing-1")
    assert (said.code, said.err.split()[1]) == (1, "[NotFound]")
