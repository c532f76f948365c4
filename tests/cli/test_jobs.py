"""`ferry job` against a real server."""

import json

import pytest

from control_play import done
from control_play import said as chunk

JOB = """\
command: python main.py --n ${{inputs.n}}
code: ./src
environment:
  pip_requirements: [numpy]
compute: azureml:c1
inputs: {n: 3}
"""


@pytest.fixture
def job(alone):
    (alone / "src").mkdir()
    (alone / "src" / "main.py").write_text("print(1)")
    (alone / "job.yml").write_text(JOB)
    return alone / "job.yml"


def test_scripts_of_az_work(ferry, job):
    made = ferry("job", "create", "--f", "job.yml", "-g", "rg", "--set", "inputs.n=5", "tags.a=b", "--query", "name",
                 "-o", "tsv")  # fmt: skip
    assert made.code == 0, made.err
    name = made.out.strip()
    shown = json.loads(ferry("job", "show", "-n", name).out)
    assert shown["inputs"]["n"] == 5
    assert shown["tags"] == {"a": "b"}
    assert ferry("job", "show", "-n", name, "--query", "status", "-o", "tsv").out == "NotStarted\n"
    assert ferry("job", "show", "-n", name, "--query", "services.Studio.endpoint", "-o", "tsv").out.startswith("http")
    assert ferry("job", "list", "--query", f"[?name=='{name}'].name", "-o", "tsv").out == made.out


def test_a_waiting_job_says_why(ferry, job, desk):
    name = ferry("job", "create", "-f", "job.yml", "--query", "name", "-o", "tsv").out.strip()
    said = ferry("job", "show", "-n", name)
    assert f"{name} is NotStarted" in said.err
    assert json.loads(said.out)["name"] == name
    assert ferry("job", "show", "-n", name, "--only-show-errors").err == ""
    explained = ferry("job", "show", "-n", name, "--explain")
    assert "is about to be sent" in explained.out
    assert json.loads(ferry("job", "show", "-n", name, "--explain", "-o", "json").out)["status"] == "NotStarted"


def test_words_change_and_the_rest_does_not(ferry, job):
    name = ferry("job", "create", "-f", "job.yml", "--name", "words", "--query", "name", "-o", "tsv").out.strip()
    assert name == "words"
    changed = ferry("job", "update", "-n", name, "--set", "tags.k=v", "display_name=nice")
    assert json.loads(changed.out)["tags"] == {"k": "v"}
    refused = ferry("job", "update", "-n", name, "--set", "command=x")
    assert (refused.code, refused.err.split()[1]) == (1, "[NotSupported]")
    assert ferry("job", "create", "-f", "job.yml", "-n", "words").err.startswith("Error: [AlreadyExists]")


def test_an_ended_job_streams_its_log_and_fails_loudly(ferry, desk, alone):
    for name, phase, code in (("good", "Completed", 0), ("bad", "Failed", 1)):
        desk.job(name=name)
        desk.turns()
        desk.reports("cloud", name, "Running")
        desk.turns()
        desk.entries("cloud", name, chunk(f"hello {name}\n"))
        desk.reports("cloud", name, phase, 2, error_lines=("boom",) if code else ())
        desk.turns()
        said = ferry("job", "stream", "-n", name)
        assert (said.code, said.out) == (code, f"hello {name}\n"), said.err
        assert ("boom" in said.err) == bool(code)
        assert ferry("job", "stream", "-n", name, "--query", "status", "-o", "tsv").out == f"{phase}\n"
    assert ferry("job", "logs", "-n", "good", "--path", "user_logs/std_log.txt").out == "hello good\n"
    assert "std_log" in ferry("job", "logs", "-n", "good", "-o", "table").out


def test_outputs_come_home(ferry, desk, alone):
    tree = desk.folder({"outputs/a.txt": b"a", "logs/b.txt": b"b"})
    model = desk.folder({"w.bin": b"w"})
    desk.job(name="rich", outputs={"model": None})
    desk.turns()
    desk.reports("cloud", "rich", "Running")
    desk.reports("cloud", "rich", "Completed", 2, outputs=done(default=tree, model=model))
    desk.turns()
    assert ferry("job", "download", "-n", "rich", "--all", "-p", "dl").code == 0
    assert (alone / "dl" / "artifacts" / "outputs" / "a.txt").read_bytes() == b"a"
    assert (alone / "dl" / "named-outputs" / "model" / "w.bin").read_bytes() == b"w"
    assert ferry("job", "download", "-n", "rich", "--output-name", "none").err.startswith("Error: [NotFound]")


def test_ends_and_hides(ferry, job):
    name = ferry("job", "create", "-f", "job.yml", "--query", "name", "-o", "tsv").out.strip()
    assert ferry("job", "archive", "-n", name).code == 1
    gone = ferry("job", "cancel", "-n", name)
    assert (gone.code, gone.out) == (0, "")
    assert ferry("job", "archive", "-n", name).code == 0
    names = ["job", "list", "--query", "[].name", "-o", "tsv"]
    assert name not in ferry(*names).out.split()
    assert name in ferry(*names, "--archived-only").out.split()
    assert ferry("job", "restore", "-n", name).code == 0
    assert name in ferry(*names).out.split()
    assert "Studio" in ferry("job", "show-services", "-n", name).out


def test_language_errors_submit_nothing(ferry, job):
    assert ferry("job", "validate", "-f", "job.yml").code == 0
    said = ferry("job", "validate", "-f", "job.yml", "--set", "comand=x")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'command'" in said.err
    assert ferry("job", "create", "-f", "absent.yml").code == 2


def test_save_as_writes_yaml(ferry, job, alone):
    assert ferry("job", "create", "-f", "job.yml", "-a", "saved.yml", "-o", "none").code == 0
    assert "command: python main.py" in (alone / "saved.yml").read_text()


def test_logs_that_stay_on_the_site_are_said_to(ferry, desk):
    desk.job(name="quiet")
    desk.turns()
    desk.reports("cloud", "quiet", "Running", logs="site")
    desk.reports("cloud", "quiet", "Completed", 2, logs="site", outputs={})
    desk.turns()
    words = "logs of quiet stay on site cloud; on the site `ferry gateway logs quiet` reads them"
    followed = ferry("job", "stream", "-n", "quiet")
    assert (followed.code, followed.err.count(words)) == (0, 1), followed.err
    assert words in ferry("job", "logs", "-n", "quiet").err
    refused = ferry("job", "logs", "-n", "quiet", "-p", "user_logs/std_log.txt")
    assert (refused.code, "logs of job quiet stay on site cloud" in refused.err) == (1, True)
