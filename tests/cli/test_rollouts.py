"""`ferry rollout`: what is refused; a real one is in the demo."""

import pytest


@pytest.mark.parametrize("verb", ["promote", "rollback", "pause", "resume", "show"])
def test_an_absent_rollout_is_said(ferry, verb):
    said = ferry("rollout", verb, "-n", "absent")
    assert (said.code, said.err.split()[1]) == (1, "[NotFound]")


def test_lists_and_reads_files(ferry, alone):
    assert ferry("rollout", "list").out == "[]\n"
    (alone / "r.yml").write_text("name: r\nstps: [100]\n")
    assert ferry("rollout", "create", "-f", "r.yml").code == 2
