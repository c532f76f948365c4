"""`ferry automation`."""

import json

import pytest

LOOP = """\
name: loop
triggers: [{type: cron, expression: "0 3 * * *"}]
create_job: {job: ./train.yml, compute: c1}
candidate: {output: model, name: digits}
"""
TRAIN = """\
command: "true"
environment: {pip_requirements: [numpy]}
outputs: {model: {type: custom_model}}
"""


@pytest.mark.parametrize("verb", ["pause", "resume", "trigger", "show", "history"])
def test_an_absent_one_is_said(ferry, verb):
    said = ferry("automation", verb, "-n", "absent")
    assert (said.code, said.err.split()[1]) == (1, "[NotFound]")


def test_an_automation_lives(ferry, alone):
    (alone / "a.yml").write_text(LOOP)
    (alone / "train.yml").write_text(TRAIN)
    made = ferry("automation", "create", "-f", "a.yml")
    assert made.code == 0, made.err
    assert json.loads(ferry("automation", "pause", "-n", "loop").out)["phase"].lower() == "paused"
    assert ferry("automation", "resume", "-n", "loop").code == 0
    assert ferry("automation", "trigger", "-n", "loop").code == 0
    assert json.loads(ferry("automation", "history", "-n", "loop").out) == [], "its loop has not taken it up yet"
    assert "no run waits" in ferry("automation", "approve", "-n", "loop").err
    assert "loop" in ferry("automation", "list", "-o", "table").out
    ferry("automation", "delete", "-n", "loop", "-y")
