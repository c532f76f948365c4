"""Which files of a folder are documents by themselves."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.sdk.folders import load_files

CONDA = "name: env\nchannels: [conda-forge]\ndependencies: [python=3.11]\n"
JOB = "command: python main.py\ncode: ./src\nenvironment: {image: python, conda_file: ./conda.yml}\n"
EVALUATE = "command: 'true ${{inputs.candidate}}'\nenvironment: ./env.yml\ninputs: {candidate: {type: custom_model}}\n"
LOOP = """\
name: loop
create_job: {job: ./job.yml}
candidate: {name: m}
evaluate: {job: ./evaluate.yml}
"""


@pytest.fixture
def written(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return load_files(sorted(tmp_path.rglob("*.yml")))

    return write


def names(folder):
    return ([f"{one.kind} {path.stem}" for one, path in folder.documents],
            {part.stem: user.stem for part, user in folder.parts.items()})  # fmt: skip


def test_what_a_document_uses_is_part_of_it(written):
    folder = written(conda=CONDA, job=JOB, src__config="epochs: 3\n", other="name: team\ndefault_compute: c\n")
    assert names(folder) == (["job job", "workspace other"], {"conda": "job", "config": "job"})


def test_parts_of_parts(written):
    job = f"{JOB}outputs: {{model: {{type: custom_model}}}}\n"
    env = "name: e\nimage: python\nconda_file: ./conda.yml\n"
    folder = written(conda=CONDA, env=env, evaluate=EVALUATE, job=job, loop=LOOP, src__x="")
    assert names(folder)[0] == ["automation loop"]
    assert names(folder)[1] == {"conda": "loop", "env": "loop", "evaluate": "loop", "job": "loop", "x": "loop"}


def test_a_part_that_says_its_kind_is_a_document_too(written):
    folder = written(env="kind: environment\nname: e\nimage: python\n", job="command: x\nenvironment: file:./env.yml\n")
    assert names(folder) == (["environment env", "job job"], {})


def test_code_that_lies_around_the_document_hides_nothing(written):
    folder = written(a="command: x\ncode: .\nenvironment: {image: python}\n", b="name: team\ndefault_compute: c\n")
    assert names(folder) == (["job a", "workspace b"], {})


def test_what_is_wrong_is_told_before_what_is_unclear(written):
    with pytest.raises(Refused, match="comand") as caught:
        written(conda=CONDA, job=JOB.replace("command", "comand"))
    assert caught.value.code == "UnknownField"
    with pytest.raises(Refused, match=r"conda\.yml:1: it is not clear"):
        written(conda=CONDA, job="command: x\nenvironment: {image: python}\n")
