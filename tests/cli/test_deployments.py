"""`ferry online-deployment`: what is refused before and by the server; a real one is in tests/system."""

import pytest

DEPLOYMENT = """\
name: blue
type: kubernetes
code_configuration: {code: ./score, scoring_script: score.py}
environment: {pip_requirements: [numpy]}
"""


@pytest.fixture
def file(alone):
    (alone / "score").mkdir()
    (alone / "score" / "score.py").write_text("def init(): ...\ndef run(raw): return raw")
    (alone / "d.yml").write_text(DEPLOYMENT)
    return alone / "d.yml"


@pytest.mark.parametrize(
    ("argv", "code", "word"),
    [
        (["create", "-f", "d.yml"], 2, "[MissingField]"),
        (["create", "-f", "d.yml", "-e", "absent"], 1, "[NotFound]"),
        (["create", "-f", "d.yml", "-e", "e", "--all-traffic", "--no-wait"], 2, "[Usage]"),
        (["create", "-f", "d.yml", "-e", "ep1", "--local"], 1, "[NotFound]"),
        (["create", "-f", "d.yml", "-e", "ep1", "--local", "--set", "model=azureml:m:1"], 1, "[NotSupported]"),
        (["create", "-f", "d.yml", "-e", "ep1", "--local", "--vscode-debug"], 1, "[NotSupported]"),
        (["get-logs", "-n", "blue", "-e", "ep1", "--local"], 1, "[NotFound]"),
        (["create", "-f", "d.yml", "-e", "e", "--vscode-debug"], 1, "[NotSupported]"),
        (["create", "-f", "d.yml", "-e", "absent", "--skip-script-validation", "--web"], 1, "[NotFound]"),
        (["update", "-n", "blue", "--set", "instance_count=2"], 2, "[Usage]"),
        (["show", "-n", "blue", "--endpoint", "absent"], 1, "[NotFound]"),
        (["get-logs", "-n", "blue", "-e", "absent", "-l", "5", "-c", "storage-initializer"], 1, "[NotFound]"),
    ],
)
def test_what_cannot_be_is_said(ferry, file, argv, code, word):
    said = ferry("online-deployment", *argv)
    assert (said.code, said.err.split()[1]) == (code, word), said.err


def test_one_operation_at_a_time(ferry, file, alone):
    (alone / "e.yml").write_text("name: ep2\ncompute: c1\n")
    assert ferry("online-endpoint", "create", "-f", "e.yml", "--no-wait").code == 0
    said = ferry("online-deployment", "create", "-f", "d.yml", "--endpoint", "ep2", "--no-wait")
    assert (said.code, said.out, said.err.split()[1]) == (1, "", "[OperationInProgress]")
