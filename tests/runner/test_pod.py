import json
import os

import pytest

from ferryml.runner import pod as module
from ferryml.runner.pod import Pod, options


@pytest.fixture
def a_pod(tmp_path, monkeypatch):
    umask = os.umask(0o022)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    plan = {"gateway": "https://g", "token_file": str(tmp_path / "token"), "instances": 4}
    (tmp_path / "job.json").write_text(json.dumps(plan))
    yield Pod(str(tmp_path / "job.json"), str(tmp_path / "ferry" / "job"))
    os.umask(umask)


def test_it_knows_which_it_is_and_shares_with_its_group(a_pod, tmp_path):
    assert (a_pod.index, a_pod.instances) == (3, 4)
    assert a_pod.env_folder == str(tmp_path / "ferry" / "env")
    assert os.stat(a_pod.folder).st_mode & 0o777 == 0o775


def test_the_token_is_read_anew(a_pod, tmp_path):
    for token in ("one", "two"):
        (tmp_path / "token").write_text(token + "\n")
        assert a_pod.token() == token


def test_last_words_are_for_the_pods_status(a_pod, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LAST_WORDS", str(tmp_path / "log"))
    a_pod.last_words("StagingFailed", "why" * 2000)
    said = json.loads((tmp_path / "log").read_text())
    assert (said["code"], len(said["message"])) == ("StagingFailed", 2000)
    monkeypatch.setattr(module, "LAST_WORDS", str(tmp_path / "no" / "log"))
    a_pod.last_words("x", "y")


def test_arguments_are_exactly_two():
    assert options(["--plan", "p", "--folder", "f"]) == {"--plan": "p", "--folder": "f"}
    assert options(["--plan", "p"]) == options(["--folder", "f", "--plan", "p", "x"]) == options([]) == {}
